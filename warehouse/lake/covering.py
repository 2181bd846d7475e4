"""What a commit may say that it covers: an agent's own note on the work that it completed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from warehouse.untrusted import (
    UnfitError,
    amount,
    anything,
    fields,
    listing,
    mapping,
    maybe,
    one_of,
    refuse,
    row,
    text,
    truth,
    whole,
)
from warehouse.vocabulary import MODULES, SAYS_SEEN, SCORES

WORDS = text()
LAST = 2**31 - 1
COUNT = whole(0, LAST)
PLACES = listing(COUNT)

LOCUS = fields(
    {
        "module": one_of(*MODULES),
        "layer": COUNT,
        "kind": WORDS,
        "path": WORDS,
        "depth": COUNT,
        "width": COUNT,
    },
    {"reads": WORDS, "on_path": truth, "calls": COUNT},
)
ANATOMY = fields(
    {
        "model_type": WORDS,
        "tower": WORDS,
        "decoder": WORDS,
        "head": WORDS,
        "image_token_id": maybe(COUNT),
        "loci": listing(LOCUS),
    }
)

REPLIES = fields({"max_new_tokens": COUNT, "cut": PLACES})
COVERS = fields(
    {},
    {
        "start": COUNT,
        "stop": COUNT,
        "cells": listing(row(WORDS, COUNT, listing(WORDS))),
        "answers": listing(WORDS),
        "tokens": listing(COUNT),
        "replies": REPLIES,
        "swept_replies": mapping(WORDS, REPLIES),
        "ends_counted": truth,
        "rejected": PLACES,
        "reasons": listing(WORDS),
        "replaces": listing(WORDS),
        "judged": COUNT,
        "reopens": COUNT,
        "probes": listing(anything),
        "prompts": listing(WORDS),
        "loci": listing(WORDS),
        "audit": WORDS,
        "trial": WORDS,
        "donor": WORDS,
        "direction": WORDS,
        "learned": mapping(WORDS, WORDS),
        "due": listing(row(LOCUS, listing(WORDS))),
        "repair": WORDS,
        "anatomy": ANATOMY,
        SAYS_SEEN: COUNT,
        "readouts": mapping(WORDS, listing(WORDS)),
        "seconds": mapping(WORDS, amount),  # as the oldest noted them
        "samples": anything,  # likewise
    },
)

SAID = fields(
    {},
    {
        "fractions": listing(amount),
        "seed": whole(),
        "reading": fields(
            {},
            dict.fromkeys(
                (
                    *("columns", "encoding", "delimiter", "separator", "missing", "uncertain"),
                    *("images", "unlabelled", "skip_bad", "plain_patient_ids"),
                ),
                anything,
            ),
        ),
        "pixels": fields({}, dict.fromkeys(("frame", "shown", "of_train", "background"), anything)),
        "per_label": anything,
    },
)
"""What a person said of a dataset's source when it was added."""

REGISTRATION = fields(
    {
        "fingerprint": WORDS,
        "location": WORDS,
        "title": WORDS,
        "licence": maybe(WORDS),
        "attributes": WORDS,
        "revision": COUNT,
    },
    {
        "reading": COUNT,
        "as_added": maybe(WORDS),
        "options": maybe(SAID),
        "score": maybe(one_of(*SCORES)),
    },
)

TOGETHER = (
    ("cells", "start", "stop", "answers"),
    ("replies", "start", "stop"),
    ("swept_replies", "start", "stop"),
    ("ends_counted", "answers"),
    ("tokens", "cells"),
    ("rejected", "reasons"),
    ("anatomy", "readouts"),
)
"""Where the first is covered, the others must be said."""


def check_covers(covers: dict[str, Any], where: str, *, together: bool = True) -> None:
    """Raise UnfitError unless it is what a writer may say, or what differs between two of that."""
    (REGISTRATION if "fingerprint" in covers else COVERS)(covers, where)
    if together:
        check_together(covers, where)


def check_together(covers: Mapping[str, Any], where: str) -> None:
    """Raise UnfitError where something is covered without what must be said with it, or does not
    fit to that."""
    for first, *others in TOGETHER:
        for name in others:
            if first in covers and name not in covers:
                raise UnfitError(f"{where}.{name} is missing")
    _check_places(covers, where)
    if "anatomy" in covers:
        _check_loci(covers["anatomy"]["loci"], covers["readouts"], where)


def _check_loci(loci: Sequence[Mapping[str, Any]], readouts: Mapping[str, Any], where: str) -> None:
    """Each is there once and is read, and in every module the answer depends on one."""
    names = [f"{one['module']}.{one['layer']}" for one in loci]
    if len(set(names)) != len(names) or not set(names) <= readouts.keys():
        refuse(f"{where}.readouts", sorted(readouts), "what each locus is read by")
    if {one["module"] for one in loci if one.get("on_path", True)} != set(MODULES):
        refuse(f"{where}.anatomy.loci", names, "loci of every module on the answer's path")


def _check_places(covers: Mapping[str, Any], where: str) -> None:
    """Samples that are told of lie in the range, and rejected ones once and for a reason."""
    start, stop = covers.get("start", 0), covers.get("stop", LAST)
    if start > stop:
        refuse(f"{where}.stop", stop, "a place after the first")
    replies = [covers["replies"]] if "replies" in covers else []
    replies += covers.get("swept_replies", {}).values()
    rejected = covers.get("rejected", [])
    for places in (rejected, *(said["cut"] for said in replies)):
        if places and not start <= min(places) <= max(places) < stop:
            refuse(f"{where}.stop", stop, "a place after all that are told of")
    if "tokens" in covers and len(covers["tokens"]) != stop - start:
        refuse(f"{where}.tokens", covers["tokens"], "a number for each place")
    if len(set(rejected)) != len(rejected) or len(rejected) != len(covers.get("reasons", rejected)):
        refuse(f"{where}.rejected", rejected, "places with a reason each")
