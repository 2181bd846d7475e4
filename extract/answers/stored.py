"""What stored replies answered: the prompt they go on from, and what letters stood for in it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from extract.answers.reading import named_class, without_numbers
from extract.models import PromptEntry, lake_prompts, shipped_prompts
from extract.replies import left_open, read_reply
from extract.sharing import Listing, is_replied, listing
from warehouse.catalogue import Catalogue, ClassRow, open_tables
from warehouse.errors import UsageError, nearest
from warehouse.lake import Lake
from warehouse.vocabulary import LENGTH


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
        if not is_replied(answer["method"]):
            finish = answer["finish_reason"]
            return named_class(answer["text"], self.classes, answer["options"], finish)
        listed, cut = self._listing(answer), answer["finish_reason"] == LENGTH
        whole = self.whole(answer)
        found = read_reply(whole, listed.names, letters=listed.letters, cut=cut).index
        return None if found is None else listed.shown[found]

    def whole(self, answer: Mapping[str, Any]) -> str:
        """All of a stored reply that counts for its reading."""
        if not is_replied(answer["method"]) or answer["raw_text"] is None:
            return str(answer["text"])
        prefix = self.prompts[answer["prompt_id"]].reply_prefix or ""
        return self.opening + prefix + str(answer["raw_text"])

    def options(self, answer: Mapping[str, Any]) -> Sequence[str] | None:
        """What letters stood for when a reply was given; None where they stood for nothing."""
        if not is_replied(answer["method"]):
            held: Sequence[str] | None = answer["options"]
            return held
        listed = self._listing(answer)
        return [self.classes[index].phrase for index in listed.shown] if listed.letters else None

    def asked(self, answer: Mapping[str, Any]) -> str:
        """The question that a stored reply answers; of one from elsewhere what its letters stood
        for, as far as that is known.
        """
        if not is_replied(answer["method"]):
            listed = answer["options"] or ()
            if without_numbers(listed)[1]:
                return "\n".join(listed)
            return "\n".join(f"{chr(ord('A') + n)}. {option}" for n, option in enumerate(listed))
        entry = self.prompts[answer["prompt_id"]]
        shown = entry.order(len(self.classes), answer["option_order"])
        return self.question or entry.question([self.classes[index].phrase for index in shown])

    def _listing(self, answer: Mapping[str, Any]) -> Listing:
        entry = self.prompts[answer["prompt_id"]]
        return listing(entry, self.classes, answer["option_order"], self.question)


def replied_pairs(
    lake: Lake, model_id: str | None = None, dataset_id: str | None = None
) -> list[tuple[str, str]]:
    """The models and datasets of stored replies, of one model or dataset or all.

    Raises UsageError for a model or dataset without replies.
    """
    with open_tables(lake) as wh:
        pairs = wh.sql(_REPLIED).fetchall()
    for what, name, place in (("model", model_id, 0), ("dataset", dataset_id, 1)):
        known = [pair[place] for pair in pairs]
        if name is not None and name not in known:
            raise UsageError(
                f"the lake holds no replies of the {what} {name!r}{nearest(name, known)}"
            )
    return [
        (model, about)
        for model, about in pairs
        if model_id in (None, model) and dataset_id in (None, about)
    ]


_REPLIED = """
SELECT DISTINCT model_id, dataset_id FROM answer WHERE text IS NOT NULL ORDER BY ALL
"""
_ASKED = """
SELECT json_extract(config, '$.identity') FROM run
WHERE command = 'extract' AND model_id = $1 AND dataset_id = $2
ORDER BY started_at DESC, run_id LIMIT 1
"""
