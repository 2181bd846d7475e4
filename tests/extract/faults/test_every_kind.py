"""Every kind of fault, those of other packages too, changes what it says it acts on.

In an ordinary extraction and in the self-test's own loop, which keeps prepared batches: a kind that
only one of them knows of would give the healthy model's numbers there.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from extract.faults import kinds, registry
from extract.faults.effects import (
    ActivationFault,
    DonorFault,
    ImageFault,
    LabelFault,
    SiteFault,
    WeightFault,
)
from extract.faults.fault import Fault
from extract.faults.kinds import OWN_KINDS
from extract.faults.registry import fault_kinds, kind_named, register_fault
from extract.faults.sites import site_of
from extract.faults.spec import parse_fault
from extract.faults.words import registered
from extract.running.extraction import extract
from extract.running.trials import Bench, open_bench
from extract.sharing.job import ExtractRequest
from tests.docs.examples import examples
from tests.packages import Install
from tests.tables import tables
from warehouse.errors import LayerhouseError, UsageError
from warehouse.lake.lake import Lake
from warehouse.vocabulary import ANSWER, MODULES, Cell

EXAMPLE = examples("extending.md", "A kind of fault")["python"]
MODEL, DATASET, LIMIT = "tiny-digits", "digits", 12
BROUGHT = {"blur": "Blur", "shuffle": "Shuffle"}
"""The kinds that the page on extensions brings: one of the image, one of activations."""


@dataclass(frozen=True)
class Shown:
    """What a model shows: its vectors by cell, and what it answers in any comparable form."""

    vectors: Mapping[Cell, np.ndarray[Any, Any]]
    answers: Any


@pytest.fixture(scope="module", autouse=True)
def brought() -> Iterator[None]:
    """The page's kinds are known, as if their package were installed."""
    named: dict[str, Any] = {}
    exec(EXAMPLE, named)
    with patch.dict(registered, clear=True):
        for class_name in BROUGHT.values():
            register_fault(named[class_name]())
        yield


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return Lake.at(tmp_path_factory.mktemp("lake"))


@pytest.fixture(scope="module")
def bench(lake: Lake) -> Bench:
    bench = open_bench(lake, ExtractRequest(MODEL, DATASET, limit=LIMIT))
    assert bench.healthy  # from here on its batches are kept
    return bench


def extracted(lake: Lake, *faults: str) -> Shown:
    """The model as an ordinary extraction stores it."""
    model_id = extract(lake, ExtractRequest(MODEL, DATASET, faults=faults, limit=LIMIT)).model_id
    with tables(lake) as wh:
        rows = wh.sql(
            "SELECT module, layer, readout, vector FROM activation WHERE model_id = $1 "
            "ORDER BY module, layer, readout, sample_id",
            [model_id],
        ).fetchall()
        answers = wh.sql(
            "SELECT sample_id, label_logprobs FROM answer WHERE model_id = $1 "
            "AND method = 'likelihood' ORDER BY sample_id",
            [model_id],
        ).fetchall()
    found: dict[Cell, list[Any]] = {}
    for module, layer, readout, vector in rows:
        found.setdefault(Cell(module, layer, readout), []).append(vector)
    return Shown({cell: np.array(vectors) for cell, vectors in found.items()}, answers)


def recorded(bench: Bench, *faults: str) -> Shown:
    """The model as the self-test sees it."""
    recording = bench.run([parse_fault(fault) for fault in faults])
    return Shown(recording.vectors, [row["text"] for row in recording.answers])


def strongest(name: str, stage: str) -> str:
    """A fault of this kind that no sample can miss."""
    kind = kind_named(name)
    severities = kind.trial_severities or (kind.severity.default,)
    return f"{name}@{stage}:{severities[-1]:g}"


def check_effect(bench: Bench, fault: Fault, healthy: Shown, struck: Shown) -> set[int]:
    """The struck model differs where the fault's kind says that it acts, and nowhere before.

    Gives the depths at which it does.
    """
    depths = {(x.module, x.layer): x.depth for x in bench.session.anatomy.loci}
    assert struck.vectors.keys() == healthy.vectors.keys()
    read = {cell: depths[cell.module, cell.layer] for cell in struck.vectors}
    changed = {
        depth
        for cell, depth in read.items()
        if not np.array_equal(struck.vectors[cell], healthy.vectors[cell])
    }
    match fault.kind:
        case ImageFault():
            assert changed == set(read.values())
        case LabelFault():
            assert not changed
            assert struck.answers != healthy.answers
        case SiteFault():
            assert changed
            assert min(changed) >= site_of(bench.session, fault).depth
        case WeightFault() if fault.stage == ANSWER:
            assert not changed
            assert struck.answers != healthy.answers
        case WeightFault():
            first = min(depths[x.module, x.layer] for x in bench.session.anatomy.of(fault.stage))
            # The connector is read as it enters the decoder, behind the first of its weights.
            assert min(changed) == first
            assert struck.answers != healthy.answers
        case _:
            pytest.fail(f"{type(fault.kind).__name__} derives from no base class that says so")
    return changed


QUICK = ("swap", "head", "quantise", "blur")
"""One of each way: the vectors, the words, the weights, the pixels."""


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in QUICK else pytest.mark.slow)
        for name in (*(kind.name for kind in OWN_KINDS), *BROUGHT)
    ],
)
def test_a_fault_changes_what_it_acts_on_in_an_extraction_and_in_the_self_test(
    name: str, lake: Lake, bench: Bench
) -> None:
    spec = strongest(name, kind_named(name).stages[-1])
    fault = parse_fault(spec)
    changed = check_effect(bench, fault, extracted(lake), extracted(lake, spec))
    if isinstance(fault.kind, ActivationFault | DonorFault):
        assert min(changed) == site_of(bench.session, fault).depth
    if not isinstance(fault.kind, WeightFault):
        check_effect(bench, fault, recorded(bench), recorded(bench, spec))


@pytest.mark.parametrize("stage", ["connector", "llm.2"])
def test_a_fault_of_weights_strikes_as_a_model_is_loaded_and_so_no_trial(
    stage: str, lake: Lake, bench: Bench
) -> None:
    spec = f"damage@{stage}:1"
    healthy, struck = extracted(lake), extracted(lake, spec)
    depths = {(x.module, x.layer): x.depth for x in bench.session.anatomy.loci}
    module, _, layer = stage.partition(".")
    changed = {
        depths[cell.module, cell.layer]
        for cell in struck.vectors
        if not np.array_equal(struck.vectors[cell], healthy.vectors[cell])
    }
    assert min(changed) == depths[module, int(layer or 0)]
    with pytest.raises(UsageError, match="strikes a model as it is loaded"):
        bench.run([parse_fault(spec)])


OTHER_STAGES = [
    *(
        (kind.name, stage)
        for kind in OWN_KINDS
        for stage in kind.stages[:-1]
        if not isinstance(kind, WeightFault)
    ),
    *(("shuffle", stage) for stage in MODULES[:-1]),
]


@pytest.mark.parametrize(("name", "stage"), OTHER_STAGES)
def test_the_self_tests_loop_shows_a_fault_at_every_other_stage_it_can_strike(
    name: str, stage: str, bench: Bench
) -> None:
    spec = strongest(name, stage)
    check_effect(bench, parse_fault(spec), recorded(bench), recorded(bench, spec))


def test_a_fault_of_the_image_shows_beside_one_that_leaves_it_alone(bench: Bench) -> None:
    both = recorded(bench, "lowres@vision:2", "noise@llm")
    alone = recorded(bench, "noise@llm")
    assert any(
        not np.array_equal(both.vectors[cell], alone.vectors[cell])
        for cell in both.vectors
        if cell.module == "vision"
    )


def test_every_file_of_a_kind_is_known() -> None:
    files = {module.name for module in pkgutil.iter_modules(kinds.__path__)}
    assert {kind.name for kind in OWN_KINDS} == files


@patch.dict(registered, clear=True)
def test_an_installed_package_brings_its_kinds(install: Install) -> None:
    with pytest.raises(UsageError, match="unknown kind of fault 'blur'"):
        parse_fault("blur@vision")
    for name, class_name in BROUGHT.items():
        install(registry.GROUP, name, EXAMPLE, class_name)
    assert [*fault_kinds()][len(OWN_KINDS) :] == [*BROUGHT]
    assert str(parse_fault("blur@vision:2")) == "blur@vision:2"
    assert (
        parse_fault("shuffle@llm.1").kind.severity.meaning == "share of tokens that change places"
    )


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({"name": "swap"}, "has the name of one that Layerhouse brings"),
        ({"name": "two words"}, "cannot be written in a fault's text"),
        ({"stages": ("visoin",)}, "strikes at visoin; stages are vision, connector"),
        ({"stages": ()}, "strikes nowhere"),
        ({"destroying": True}, "is destroying, so its severity must be a share"),
    ],
)
def test_a_kind_that_cannot_be_meant_is_refused(attributes: dict[str, Any], said: str) -> None:
    named: dict[str, Any] = {}
    exec(EXAMPLE, named)
    kind = type("Strange", (named["Blur"],), attributes)()
    with pytest.raises(UsageError, match=said):
        register_fault(kind)


@pytest.mark.parametrize(
    ("class_name", "method", "said"),
    [
        ("Blur", {"change_image": lambda *_: None}, "gives a NoneType for an image of 8 × 8"),
        (
            "Blur",
            {"change_image": lambda _, image, __: image.resize((4, 6))},
            "gives an image of 4 × 6 pixels for an image of 8 × 8: change_image of its kind has",
        ),
        ("Shuffle", {"change_rows": lambda *_: None}, "gives a NoneType for rows"),
        ("Shuffle", {"change_rows": lambda _, rows, __: rows[1:]}, "change_rows of its kind has"),
    ],
)
def test_a_kind_that_gives_something_of_another_form_is_named(
    class_name: str, method: dict[str, Any], said: str, bench: Bench
) -> None:
    named: dict[str, Any] = {}
    exec(EXAMPLE, named)
    kind = type("Odd", (named[class_name],), method | {"name": "odd"})()
    with patch.dict(registered):
        register_fault(kind)
        with pytest.raises(LayerhouseError, match=f"the fault odd@vision:[14] .*{said}"):
            recorded(bench, "odd@vision")


def test_no_sample_is_rejected_for_a_kind_that_is_not_done(tmp_path: Path) -> None:
    named: dict[str, Any] = {}
    exec(EXAMPLE, named)
    kind = type("Odd", (named["Blur"],), {"name": "odd", "change_image": lambda *_: None})()
    lake = Lake.at(tmp_path / "lake")
    asked = ExtractRequest(MODEL, DATASET, faults=("odd@vision",), limit=LIMIT)
    with patch.dict(registered):
        register_fault(kind)
        with pytest.raises(LayerhouseError, match="the fault odd@vision:4 gives a NoneType"):
            extract(lake, asked)
    with tables(lake) as warehouse:
        assert not warehouse.sql("FROM rejected_sample").fetchall()


def test_a_package_that_brings_something_else_is_named(install: Install) -> None:
    install(registry.GROUP, "odd", "class Odd: ...\n", "Odd")
    with pytest.raises(LayerhouseError, match=r"odd of layerhouse\.faults is no FaultKind"):
        parse_fault("swap@vision")
