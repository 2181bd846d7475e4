"""Prompts: how a question can be put, as data. Those that ship are in prompts.toml.

Imports nothing heavy, so that the command line knows their names at once.
"""

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from hashlib import blake2b
from pathlib import Path
from string import ascii_uppercase
from typing import TYPE_CHECKING, Any

from warehouse.errors import UsageError, nearest
from warehouse.vocabulary import (
    DEFAULT_PROMPT,
    GIVEN,
    LETTERED,
    LISTED,
    NO_OPTIONS,
    NUMBERED,
    OPTION_ORDERS,
    OPTION_STYLES,
    REVERSED,
    ROTATED,
)

if TYPE_CHECKING:
    from warehouse.catalogue import Catalogue

FILE = Path(__file__).resolve().with_name("prompts.toml")
EVERY = "all"
"""Stands for every known prompt, and so is the name of none."""
OPTIONS = "{options}"
NAME = r"\w(?:[\w .+:-]*\w)?"
UNSPACED = ("zh", "ja")
"""Languages that list words with a comma of their own and write no spaces."""


@dataclass(frozen=True)
class Wording:
    """What is said to a model: a question, what the system says before it, if anything, and what
    the reply begins with.
    """

    question: str
    system: str | None = None
    reply_prefix: str | None = None


@dataclass(frozen=True)
class PromptEntry:
    """One way of putting the question; prompts.toml says what each field means.

    Raises UsageError where it could not be put so.
    """

    name: str
    template: str
    system: str | None = None
    option_style: str = LISTED
    option_order: str = GIVEN
    synonyms: Mapping[str, Sequence[str]] = field(default_factory=dict)
    language: str = "en"
    reply_prefix: str | None = None
    max_new_tokens: int | None = None

    def __post_init__(self) -> None:
        for name, known in (("option_style", OPTION_STYLES), ("option_order", OPTION_ORDERS)):
            if (given := getattr(self, name)) not in known:
                self._refuse(f"has the {name} {given!r}{nearest(str(given), known)}")
        for name in ("template", "system", "language", "reply_prefix"):
            given, may_lack = getattr(self, name), name in ("system", "reply_prefix")
            if given is None and may_lack:
                continue
            if not isinstance(given, str):
                self._refuse(f"has a {name} that is no text: {given!r}")
            if not given.strip():
                self._refuse(f"has an empty {name}; write one{', or leave it out' * may_lack}")
        if not re.fullmatch(NAME, self.name) or self.name.casefold() == EVERY:
            self._refuse("cannot have that name: take letters, digits, dots and hyphens")
        self._refuse_places()
        self._refuse_synonyms()
        budget = self.max_new_tokens
        if budget is not None and (type(budget) is not int or budget < 1):
            self._refuse(f"has max_new_tokens {budget!r}, where a number of tokens is due")

    def _refuse_places(self) -> None:
        places = re.findall(r"\{+\w*\}+", self.template)
        wrong = [place for place in places if place != OPTIONS]
        due = 0 if self.option_style == NO_OPTIONS else 1
        if any(OPTIONS in place or place == "{}" for place in wrong):
            self._refuse(f"writes {wrong[0]}, where the place of the classes is {OPTIONS}")
        if wrong:
            self._refuse(f"has the unknown place {wrong[0]}{nearest(wrong[0], [OPTIONS])}")
        if places and not due:
            self._refuse(f"has {OPTIONS} although its option_style is {NO_OPTIONS}")
        if len(places) != due:
            what = f"{len(places)} places" if places else "no place"
            self._refuse(
                f"has {what} for the classes: write {OPTIONS} once, or option_style = "
                f'"{NO_OPTIONS}" for a question that does not list them'
            )

    def _refuse_synonyms(self) -> None:
        fits = isinstance(self.synonyms, Mapping) and all(
            isinstance(names, list | tuple) and names and all(map(_is_text, names))
            for names in self.synonyms.values()
        )
        if not fits:
            self._refuse('has synonyms that are no lists of names, as in malignant = ["cancer"]')

    def _refuse(self, what: str) -> None:
        raise UsageError(f"the prompt {self.name!r} {what}")

    def order(self, n: int, option_order: str = GIVEN) -> list[int]:
        """The classes of `n` in the order in which they are listed under an answer's order."""
        own = list(range(n - 1, -1, -1) if self.option_order == REVERSED else range(n))
        first = 0 if option_order == GIVEN else int(option_order.partition(":")[2])
        return [*own[first:], *own[:first]]

    def question(self, shown: Sequence[str]) -> str:
        """The question with these phrases listed as they come."""
        return self.template.replace(OPTIONS, self._listed(shown))

    def wording(self, question: str) -> Wording:
        """A question of this prompt as it is put."""
        return Wording(question, self.system, self.reply_prefix)

    def marks(self, n: int) -> list[str]:
        """What stands before each listed class and may be answered in its place; mostly nothing."""
        if self.option_style == LETTERED:
            return list(ascii_uppercase[:n])
        return [str(k) for k in range(1, n + 1)] if self.option_style == NUMBERED else []

    def _listed(self, shown: Sequence[str]) -> str:
        marks = self.marks(len(shown))
        if marks:
            return "\n".join(f"{m}. {phrase}" for m, phrase in zip(marks, shown, strict=True))
        return ("、" if self.language.split("-")[0] in UNSPACED else ", ").join(shown)

    def misfit(self, labels: Sequence[str], phrases: Sequence[str]) -> str | None:
        """Why a dataset of these classes cannot be asked about so; None where it can."""
        n, most = len(phrases), len(ascii_uppercase)
        if self.option_style == LETTERED and n > most:
            return f"lists classes under letters, and there are {n} for {most}"
        marks = {mark.casefold() for mark in self.marks(n)}
        clash = [phrase for phrase in phrases if phrase.strip().casefold() in marks]
        if clash:
            return f"lists classes under {self.option_style}, and {clash[0]!r} is a class"
        names = {name for pair in zip(labels, phrases, strict=True) for name in pair}
        for name, others in self.synonyms.items():
            if name not in names:
                return f"has synonyms of {name!r}, which is no class here{nearest(name, names)}"
            taken = [other for other in others if other in names]
            if taken:
                return f"calls {name!r} also {taken[0]!r}, which is a class"
        return None

    def words(self) -> dict[str, Any]:
        """What it says, by the columns of the table `prompt`."""
        synonyms = {name: list(names) for name, names in self.synonyms.items()}
        found = asdict(self) | {"synonyms": synonyms or None}
        return {"prompt_id": found.pop("name"), **found}

    def with_system(self, system: str) -> "PromptEntry":
        """The same with another system text, and so under a name of its own."""
        mark = blake2b(system.encode(), digest_size=3).hexdigest()
        return replace(self, name=f"{self.name}+system:{mark}", system=system)


def rotations(n: int) -> list[str]:
    """The orders that put every class of `n` at every place once: as given, then rotated."""
    return [GIVEN, *(f"{ROTATED}:{k}" for k in range(1, n))]


@cache
def shipped_prompts() -> dict[str, PromptEntry]:
    """The prompts that Layerhouse brings, by name."""
    return {entry.name: entry for entry in read_prompts(FILE)}


def lake_prompts(wh: "Catalogue") -> dict[str, PromptEntry]:
    """The prompts that the lake's answers were asked with, by name."""
    relation = wh.sql("SELECT * EXCLUDE run_id FROM prompt")
    rows = relation.fetchall()
    return stored_prompts([dict(zip(relation.columns, row, strict=True)) for row in rows])


def find_prompts(
    asked: Sequence[str], stored: Mapping[str, PromptEntry], system: str | None = None
) -> list[PromptEntry]:
    """The prompts that are meant: names, of those that ship or are `stored` in a lake, or files of
    prompts; `all` is every name. Each once.

    Raises UsageError for what is neither, and for a name that means other words than before.
    """
    known = {**stored, **shipped_prompts()}
    found: dict[str, PromptEntry] = {}
    for each in asked:
        entries = list(known.values()) if each == EVERY else _meant(each, known)
        for entry in entries:
            entry = entry if system is None else entry.with_system(system)
            for others in (stored, shipped_prompts(), found):
                refuse_taken(entry, others)
            found[entry.name] = entry
    return list(found.values())


def refuse_taken(entry: PromptEntry, known: Mapping[str, PromptEntry]) -> None:
    """A name means the same words wherever it stands, in whatever case."""
    taken = {name.casefold(): other for name, other in known.items()}.get(entry.name.casefold())
    if taken is not None and (taken.name != entry.name or taken.words() != entry.words()):
        raise UsageError(
            f"the name {entry.name!r} is taken by a prompt of other words ({taken.template!r}); "
            "give yours another"
        )


def _meant(asked: str, known: Mapping[str, PromptEntry]) -> list[PromptEntry]:
    named = {name.casefold(): entry for name, entry in known.items()}.get(asked.casefold())
    if named is not None:
        return [named]
    path = Path(asked).expanduser()
    if path.is_file():
        return read_prompts(path)
    if path.suffix == ".toml" or len(path.parts) > 1:
        raise UsageError(f"{asked} is no file of prompts{'; it is a folder' * path.is_dir()}")
    raise UsageError(f"unknown prompt {asked!r}{nearest(asked, [*known, EVERY])}")


def read_prompts(path: Path) -> list[PromptEntry]:
    """The prompts of a TOML file: a table each, or one without a table, named as the file is."""
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is no text in UTF-8; save it so") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is no TOML: {error}") from error
    fields = set(PromptEntry.__dataclass_fields__) - {"name"}
    if "template" in tree or (tree and not all(isinstance(v, dict) for v in tree.values())):
        tree = {path.stem: tree}
    if not tree:
        raise UsageError(f'{path} holds no prompt; `template = "… {OPTIONS} …"` is one')
    entries: dict[str, PromptEntry] = {}
    for name, facts in tree.items():
        unknown = sorted(set(facts) - fields)
        if unknown:
            raise UsageError(
                f"the prompt {name!r} in {path} has the unknown key {unknown[0]!r}"
                f"{nearest(unknown[0], fields)}"
            )
        if "template" not in facts:
            raise UsageError(f"the prompt {name!r} in {path} has no template")
        entry = PromptEntry(name=name, **facts)
        refuse_taken(entry, entries)
        entries[name] = entry
    return list(entries.values())


def default_prompt() -> PromptEntry:
    """How a question is put unless another prompt is named."""
    return shipped_prompts()[DEFAULT_PROMPT]


def stored_prompts(rows: Sequence[Mapping[str, Any]]) -> dict[str, PromptEntry]:
    """The prompts of a lake, by name, from the rows of its table `prompt`."""
    return {row["prompt_id"]: _stored(row) for row in rows}


def _stored(row: Mapping[str, Any]) -> PromptEntry:
    facts = {name: value for name, value in row.items() if value is not None}
    name = facts.pop("prompt_id")
    facts.pop("run_id", None)
    if "synonyms" in facts:
        facts["synonyms"] = json.loads(facts["synonyms"])
    return PromptEntry(name=name, **facts)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())
