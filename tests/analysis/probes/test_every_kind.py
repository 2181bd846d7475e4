"""Every kind of probe, those of other packages too, fits, is stored, and shows in the views."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from analysis.probes.probe_kind import ProbeKind
from analysis.probes.probing import probe
from analysis.probes.registry import probe_kinds
from layerhouse.cli import layerhouse as cli
from tests.analysis.activation_lake import (
    DATASET,
    MODEL,
    PLACES,
    add_activations,
    dataset_lake,
    drawn,
    labels_and_splits,
)
from tests.docs.examples import examples
from tests.packages import Install
from warehouse.catalogue.refreshing import connect
from warehouse.errors import LayerhouseError
from warehouse.lake.lake import Lake
from warehouse.vocabulary import PROBE_KINDS

EXAMPLE = examples("extending.md", "A kind of probe")["python"]
GROUP = "layerhouse.probes"
CLASSES, SPLITS = labels_and_splits(160, 4)
SHOWN = """
    SELECT probe_accuracy.module, probe_accuracy.layer, probe_accuracy.readout,
        probe_accuracy.accuracy, signal_flow.test_accuracy, signal_flow.above_shuffled
    FROM probe_accuracy
    INNER JOIN signal_flow USING (model_id, dataset_id, module, layer, readout, kind)
    WHERE kind = $1 AND split = 'test' AND control = 'none'
    ORDER BY ALL
"""


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = dataset_lake(tmp_path / "lake", CLASSES, SPLITS)
    vectors = {
        place: drawn(CLASSES, width, seed, strength=2)
        for seed, (place, width) in enumerate(PLACES.items())
    }
    add_activations(lake, vectors)
    return lake


def assert_shown(lake: Lake, kind: str) -> None:
    """Every cell has probes of the kind that read the class, and their controls do not."""
    with connect(lake) as wh:
        found = wh.sql(SHOWN, [kind]).fetchall()
    cells = {(module, layer, readout) for module, layer, readout, *_ in found}
    assert cells == set(PLACES)
    for *_, accuracy, shown, above_shuffled in found:
        assert accuracy > 0.5
        assert abs(accuracy - shown) < 0.2  # a kind's seeds differ; the view averages them
        assert above_shuffled > 0.2


def test_every_kind_of_the_vocabulary_is_there_under_its_name() -> None:
    assert {name: kind.name for name, kind in probe_kinds().items()} == {n: n for n in PROBE_KINDS}


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=() if kind.name == "linear" else pytest.mark.slow)
        for kind in probe_kinds().values()
        if not kind.reads_tokens
    ],
    ids=lambda kind: kind.name,
)
def test_every_kind_fits_is_stored_and_shown(kind: ProbeKind, lake: Lake) -> None:
    first = probe(lake, MODEL, DATASET, kind=kind, seeds=2)
    again = probe(lake, MODEL, DATASET, kind=kind, seeds=2)
    assert first.n_probes == first.n_stored == again.n_stored > 0
    assert not again.added
    assert_shown(lake, kind.name)


@pytest.mark.slow
def test_a_packages_kind_runs_through_the_command_and_is_shown(
    install: Install, lake: Lake
) -> None:
    install(GROUP, "centroid", EXAMPLE, "CentroidProbe")
    asked = ["--model", MODEL, "--dataset", DATASET, "--lake", str(lake.root)]
    done = CliRunner().invoke(cli, ["probe", *asked, "--kind", "centroid"])
    assert done.exit_code == 0, done.output
    assert "Fitted" in done.output
    assert_shown(lake, "centroid")
    with connect(lake) as wh:
        stored = wh.sql("SELECT DISTINCT hyperparameters FROM probe").fetchall()
    assert len(stored) == 1


def test_ours_come_before_those_of_packages_which_are_in_the_order_of_their_names(
    install: Install,
) -> None:
    for name in ("nearest", "centroid"):
        code = EXAMPLE.replace('"centroid"', f'"{name}"')
        install(GROUP, name, code, "CentroidProbe")
    assert list(probe_kinds()) == [*PROBE_KINDS, "centroid", "nearest"]


def test_a_kind_of_another_name_than_its_entry_point_is_named(install: Install) -> None:
    install(GROUP, "nearest", EXAMPLE, "CentroidProbe")
    with pytest.raises(LayerhouseError, match=r"entry point nearest .* called centroid"):
        probe_kinds()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("None", "gives a NoneType in the place of Fits"),
        ("Fits(logits[0][..., :1], logits[1], chosen)", "gives logits [1, 1, 40, 1] on val,"),
        (
            "Fits(logits[0], logits[1][:, :, 1:], chosen)",
            "gives logits [1, 1, 39, 4] on test,",
        ),
        ("Fits(*logits, [])", "gives no chosen[cell][set] for 1 cells and 1 label sets"),
    ],
)
def test_a_kind_that_gives_something_else_than_fits_of_its_data_is_named(
    install: Install, lake: Lake, given: str, said: str
) -> None:
    code = EXAMPLE.replace("Fits(*logits, chosen)", given)
    install(GROUP, "centroid", code, "CentroidProbe")
    asked = ["--model", MODEL, "--dataset", DATASET, "--lake", str(lake.root), "--control", "none"]
    done = CliRunner().invoke(cli, ["probe", *asked, "--kind", "centroid"])
    assert isinstance(done.exception, LayerhouseError)
    assert str(done.exception).startswith(f"the kind of probe centroid {said}")
