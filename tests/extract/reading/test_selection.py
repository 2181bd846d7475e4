"""One rule for choosing layers: nothing, the last n, a list, negatives, names."""

from __future__ import annotations

import pytest

from extract.anatomy.loci import Anatomy, Locus
from extract.reading.selection import select
from warehouse.errors import UsageError


def _anatomy() -> Anatomy:
    kinds = [
        ("vision", "block", True),
        ("vision", "block", True),
        ("vision", "block", False),
        ("vision", "post_norm", False),
        ("connector", "projector", True),
        ("llm", "block", True),
        ("llm", "block", True),
        ("llm", "final_norm", True),
    ]
    loci, counts = [], {"vision": 0, "connector": 0, "llm": 0}
    for depth, (module, kind, on_path) in enumerate(kinds):
        loci.append(Locus(module, counts[module], kind, f"m.{depth}", depth, 8, on_path=on_path))
        counts[module] += 1
    return Anatomy("toy", "tower", "decoder", "head", 1, tuple(loci))


ANATOMY = _anatomy()
AVAILABLE = {
    locus.name: {
        "vision": ("mean", "cls", "grid") if locus.kind == "block" else ("cls",),
        "connector": ("mean", "grid"),
        "llm": ("mean", "last", "grid"),
    }[locus.module]
    for locus in ANATOMY.loci
}


def _names(**asked: object) -> dict[str, tuple[str, ...]]:
    return {locus.name: r for locus, r in select(ANATOMY, AVAILABLE, **asked)}  # type: ignore[arg-type]


def test_by_default_everything_is_read_and_the_grid_where_a_module_ends() -> None:
    assert _names() == {
        "vision.0": ("mean", "cls"),
        "vision.1": ("mean", "cls", "grid"),
        "vision.2": ("mean", "cls"),
        "vision.3": ("cls",),
        "connector.0": ("mean", "grid"),
        "llm.0": ("mean", "last"),
        "llm.1": ("mean", "last"),
        "llm.2": ("mean", "last", "grid"),
    }


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ((0,), ["vision.0", "connector.0", "llm.0"]),
        (("2",), ["vision.2", "llm.2"]),
        ((-1,), ["vision.3", "connector.0", "llm.2"]),
        (("-3",), ["vision.1", "llm.0"]),
        (("final_norm",), ["llm.2"]),
        (("post_norm", 0), ["vision.0", "vision.3", "connector.0", "llm.0"]),
    ],
)
def test_a_list_takes_exactly_those(layers: tuple[int | str, ...], expected: list[str]) -> None:
    assert list(_names(layers=layers)) == expected


def test_a_readout_may_be_asked_for_anywhere() -> None:
    assert _names(readouts=("grid",), modules=("llm",)) == {
        "llm.0": ("grid",),
        "llm.1": ("grid",),
        "llm.2": ("grid",),
    }


def test_tokens_are_taken_where_they_are_named_and_at_few_places_unless_layers_are() -> None:
    assert _names(readouts=("tokens",)) == {"vision.1": ("tokens",), "connector.0": ("tokens",)}
    assert _names(readouts=("mean", "tokens"), modules=("llm",)) == {
        "llm.0": ("mean",),
        "llm.1": ("mean",),
        "llm.2": ("mean", "tokens"),
    }
    asked = {"readouts": ("tokens",), "modules": ("vision", "llm"), "layers": (0, -1)}
    assert list(_names(**asked)) == ["vision.0", "llm.0", "llm.2"]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"layers": (7,)}, r"no locus matches layer 7; vision has 0 to 3 \(or -4 to -1\), 3 is"),
        ({"layers": ("norm",)}, "no locus matches layer 'norm'"),
        ({"layers": (2,), "modules": ("connector",)}, "connector has 0"),
        ({"modules": ("visio",)}, "did you mean vision"),
        ({"readouts": ("men",)}, "did you mean mean"),
        ({"readouts": ("cls",), "modules": ("llm",)}, "none of the chosen loci has"),
        ({"readouts": ("tokens",), "layers": ("post_norm",)}, "none of the chosen loci has"),
    ],
)
def test_what_matches_nothing_is_an_error(asked: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        _names(**asked)
