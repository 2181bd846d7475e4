"""What stored replies answered: the prompt they go on from, and what letters stood for in it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from extract.answering import left_open, read_reply
from extract.answers.reading import named_class
from extract.models import PromptEntry, shipped_prompts
from extract.sharing import Listing, lake_prompts, listing
from warehouse.catalogue import Catalogue, ClassRow
from warehouse.vocabulary import GENERATE


@dataclass(frozen=True)
class StoredReplies:
    """What our own runs asked a model about a dataset, and how replies to it are read.

    `opening` is the reasoning mark that the model's template leaves open; `question` that of a run
    from before prompts had names.
    """

    classes: Sequence[ClassRow]
    prompts: Mapping[str, PromptEntry]
    opening: str = ""
    question: str = ""

    @classmethod
    def of(
        cls, wh: Catalogue, model_id: str, dataset_id: str, classes: Sequence[ClassRow]
    ) -> StoredReplies:
        """As the newest run noted it; runs from before prompts were stored left nothing open."""
        found = wh.sql(_ASKED, [model_id, dataset_id]).fetchall()
        identity: dict[str, Any] = json.loads(found[0][0] or "{}") if found else {}
        opening = left_open(identity.get("prompt", {}).get("text", ""))
        question = "" if "prompt_id" in identity else identity.get("question", "")
        return cls(classes, {**shipped_prompts(), **lake_prompts(wh)}, opening, question)

    def named(self, answer: Mapping[str, Any]) -> int | None:
        """The class that a stored reply names by the rules of today, from its row of `answer`."""
        if answer["method"] != GENERATE:
            return named_class(answer["text"], self.classes, answer["options"])
        listed = self._listing(answer)
        found = read_reply(self.whole(answer), listed.names, letters=listed.letters).index
        return None if found is None else listed.shown[found]

    def whole(self, answer: Mapping[str, Any]) -> str:
        """All of a stored reply that counts for its reading."""
        if answer["method"] != GENERATE or answer["raw_text"] is None:
            return str(answer["text"])
        prefix = self.prompts[answer["prompt_id"]].reply_prefix or ""
        return self.opening + prefix + str(answer["raw_text"])

    def options(self, answer: Mapping[str, Any]) -> Sequence[str] | None:
        """What letters stood for when a reply was given; None where they stood for nothing."""
        if answer["method"] != GENERATE:
            held: Sequence[str] | None = answer["options"]
            return held
        listed = self._listing(answer)
        return [self.classes[index].phrase for index in listed.shown] if listed.letters else None

    def _listing(self, answer: Mapping[str, Any]) -> Listing:
        entry = self.prompts[answer["prompt_id"]]
        return listing(entry, self.classes, answer["option_order"], self.question)


_ASKED = """
SELECT json_extract(config, '$.identity') FROM run
WHERE command = 'extract' AND model_id = $1 AND dataset_id = $2
ORDER BY started_at DESC, run_id LIMIT 1
"""
