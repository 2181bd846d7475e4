"""One yes/no dataset per finding, where an image may show several."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from extract.datasets.checking import AddOptions, dealt
from extract.datasets.findings import ABSENT, PRESENT
from extract.datasets.labels import class_order, code_warnings, spelled
from extract.datasets.shades import Rule
from extract.datasets.source import Contents, Item, slug
from extract.datasets.usable import Images
from extract.replies import alike
from warehouse.errors import LayerhouseError, UsageError, few, nearest

ANSWERS = ("no", "yes")


@dataclass(frozen=True)
class Part:
    """The question for one finding: its dataset's name, images and options."""

    name: str
    finding: str
    contents: Contents
    options: AddOptions


def several_labels(name: str, path: str, contents: Contents, said: Sequence[str]) -> str:
    """What to say to somebody whose images have several labels each; `said` are their options."""
    findings = contents.findings
    shown = few(findings, 4)
    several = (item for item in contents.items if list(item.findings.values()).count(True) > 1)
    if (first := next(several, None)) is not None:
        held = [finding for finding, there in first.findings.items() if there]
        shown += f"; first {first.sample_id}, with {' and '.join(held[:2])}"
    return (
        f"{path} has several labels per image ({shown}), and one class per image is needed; "
        "one yes/no dataset per finding is made by layerhouse datasets add "
        f"{shlex.join([name, path, *said])} --per-label (--label-separator none if a label is "
        "called so)"
    )


def per_label(name: str, contents: Contents, images: Images, options: AddOptions) -> Iterator[Part]:
    """The parts of a source, in the order of its findings; classes are findings too.

    Splits are made once, with every finding dealt out alike, so that an image lies in the same one
    in all datasets. `options.phrases` say how a finding is spelled; its absence is "no …".
    """
    findings = contents.findings or class_order(item.label for item in contents.items if item.label)
    _refuse_answers(contents, findings)
    if not findings:
        raise UsageError(f"{contents.location} names no findings; --per-label needs labels")
    for finding in options.phrases:
        if finding not in findings:
            raise UsageError(f"no finding is called {finding!r}{nearest(finding, findings)}")
    for one, other in alike([spelled(finding) for finding in findings])[:1]:
        raise LayerhouseError(
            f"the findings {findings[one]!r} and {findings[other]!r} are one but for case, signs "
            "or gaps; write it in one way"
        )
    asked = [
        {"label": finding, "phrase": options.phrases.get(finding, spelled(finding))}
        for finding in findings
    ]
    contents = replace(contents, notes=(*contents.notes, *code_warnings(asked)))
    contents, rule = _split(_as_findings(contents, findings), images, options)
    options = replace(options, rule=rule)
    names = _names(name, findings)
    for number, each in enumerate(asked):
        part = _about(contents, each["label"], each["phrase"])
        if part.items:
            part = part if number == 0 else replace(part, notes=())
            yield Part(names[each["label"]], each["label"], part, replace(options, phrases={}))


def _about(contents: Contents, finding: str, phrase: str) -> Contents:
    """The images of which is known whether a finding is there, and what is asked of them."""
    items = [
        replace(item, label=ANSWERS[known])
        for item in contents.items
        if (known := item.findings.get(finding)) is not None
    ]
    return replace(
        contents,
        items=items,
        title=f"{contents.title}: {finding}",
        labels=ANSWERS,
        phrases={"yes": phrase, "no": f"no {phrase}"},
        findings=(),
    )


def _refuse_answers(contents: Contents, labels: Sequence[str]) -> None:
    """LayerhouseError for classes that are yes and no: they are of one finding, not two."""
    if contents.findings or not labels or not {x.casefold() for x in labels} <= PRESENT | ABSENT:
        return
    phrases = " ".join(f"--phrase {shlex.quote(f'{label}=')}…" for label in labels)
    raise LayerhouseError(
        f"the labels of {contents.location} are {' and '.join(labels)}, which say of one finding "
        f"whether it is there; that is one dataset, so leave --per-label out and name its classes "
        f"with {phrases}"
    )


def _as_findings(contents: Contents, findings: Sequence[str]) -> Contents:
    """Contents whose items say of each finding whether it is there."""
    if contents.findings:
        return contents
    items = [
        replace(item, findings={finding: finding == item.label for finding in findings})
        for item in contents.items
    ]
    return replace(contents, items=items)


def _split(contents: Contents, images: Images, options: AddOptions) -> tuple[Contents, Rule]:
    """The usable images with the one split and the rule for pixels that all findings share."""

    def there(item: Item) -> list[str]:
        return [name for name, is_there in item.findings.items() if is_there] or [""]

    found = dealt(contents, images, options, there)
    contents, rule = found.contents, found.rule(options.pixels)
    items = [replace(i, split=s) for i, s in zip(contents.items, found.splits, strict=True)]
    # what it says is read with the first finding, and once is enough
    notes_of_all = (*contents.notes, *found.notes, *rule.notes)
    return replace(contents, items=items, notes=notes_of_all), replace(rule, notes=())


def _names(name: str, findings: Sequence[str]) -> dict[str, str]:
    """The dataset of every finding: `name`_finding, numbered where the finding gives no name."""
    found = {finding: _slug(finding) for finding in findings}
    times = Counter(found.values())
    return {
        finding: f"{name}_{slugged if slugged and times[slugged] == 1 else f'finding-{n}'}"
        for n, (finding, slugged) in enumerate(found.items(), start=1)
    }


def _slug(finding: str) -> str:
    signed = re.sub(r"-(?=\W*$)", " minus", finding).replace("+", " plus ")
    signed = signed.replace("<", "under ").replace(">", "over ").strip()
    try:
        return slug(re.sub(r"\W+", "-", signed)) if signed.isascii() else ""
    except LayerhouseError:
        return ""
