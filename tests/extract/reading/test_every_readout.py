"""Every readout, those of other packages too, equals its definition taken row by row, whatever the
layout, and one that a package brings goes through the commands like those that are ours.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from torch import Tensor

from extract.anatomy.hooks import flatten, watching
from extract.anatomy.sample_rows import SampleRows, TokenMap
from extract.answering.continuing import appended
from extract.models.session import Session
from extract.plugins import ReadoutFacts, RowReadout
from extract.reading import readouts
from extract.reading.pooling import build_pooler
from extract.reading.reader import Reader
from extract.reading.readouts import (
    SHIPPED,
    AverageReadout,
    Readout,
    brought_readouts,
    known_readouts,
    readouts_at,
    register_readout,
)
from extract.running.extraction import extract
from extract.sharing.job import ExtractRequest
from layerhouse.cli import layerhouse as cli
from tests.docs.examples import examples
from tests.extract.conftest import FamilyFolders
from tests.extract.sessions import opened
from tests.packages import Install, installing
from warehouse.catalogue.refreshing import connect, refresh
from warehouse.errors import LayerhouseError, UsageError
from warehouse.lake.lake import Lake
from warehouse.validation.running import open_catalogue, prepare
from warehouse.vocabulary import READOUTS, Cell

EXAMPLE = examples("extending.md", "A readout")["python"]
LAYOUTS = (
    "llava",  # one matrix per image, class token first
    "llava_next",  # tiles of an image in a row
    "qwen2_5_vl",  # all images packed, window by window
    "mllama",  # tiles padded to a common number, cross-attention
    "gemma4",  # patches with explicit positions
    "idefics3",  # images padded to one size
    "blip_2",  # a resampler's queries
    "deepseek_vl",
)
GROUP = "layerhouse.readouts"


class Edges(RowReadout):
    """The first and the last image token: two slots of single rows."""

    facts = ReadoutFacts("edges", reads="image", slots=2, everywhere=False)

    def rows(self, sample: SampleRows) -> list[int] | None:
        return [int(sample.image[0]), int(sample.image[-1])] if len(sample.image) else None


def page_readout() -> AverageReadout:
    """The readout that the page on extensions shows."""
    named: dict[str, Any] = {}
    exec(EXAMPLE, named)
    made = named["Centre"]()
    assert isinstance(made, AverageReadout)
    return made


@pytest.fixture
def brought(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page's readout is known, and one of several rows."""
    monkeypatch.setattr(readouts, "_registered", {})
    register_readout(page_readout())
    register_readout(Edges())


def by_definition(readout: Readout, sample: SampleRows, rows: Tensor) -> np.ndarray[Any, Any]:
    """One sample's vector (slots × width), row by row in double precision."""
    values = rows.double().numpy()
    if isinstance(readout, RowReadout):
        taken = readout.rows(sample)
        assert taken is not None
        return np.concatenate([values[row] for row in taken])
    assert isinstance(readout, AverageReadout)
    slots = []
    for weights in readout.weights(sample):
        slot = np.zeros(values.shape[1])
        for weight, row in zip(weights, sample.image, strict=True):
            slot += float(weight) * values[row]
        slots.append(slot)
    return np.concatenate(slots)


def test_each_readout_of_the_vocabulary_has_its_object() -> None:
    assert {name: readout.facts for name, readout in SHIPPED.items()} == READOUTS


@pytest.mark.parametrize("family", LAYOUTS)
@pytest.mark.usefixtures("brought")
def test_every_readout_equals_its_definition(family: str, family_folder: FamilyFolders) -> None:
    model = opened(family_folder(family), stages=())
    session = model.session
    inputs = session.encode(model.pictures)
    states: dict[int, Tensor] = {}

    def note(index: int, found: Tensor) -> None:
        states.setdefault(index, found)

    with watching(session.model, session.anatomy.loci, note):
        session.forward(session.on_device(inputs))
    _, read = model.run()
    seen = set()
    for index, locus in enumerate(session.anatomy.loci):
        tokens = session.facts(inputs).token_map(locus, tuple(states[index].shape))
        names = readouts_at(locus, tokens)
        assert set(names) == set(session.readouts[locus.name])
        for name in names:
            for sample, vector in zip(tokens.samples, read[locus.name, name], strict=True):
                expected = by_definition(
                    known_readouts()[name], sample, flatten(states[index]).detach()
                )
                np.testing.assert_allclose(vector, expected, rtol=1e-3, atol=1e-4)
        seen |= set(names)
    behind = {name for name, readout in known_readouts().items() if readout.facts.follows_a_reply}
    assert seen >= set(known_readouts()) - {"cls", "tokens"} - behind
    for name in behind:
        _equals_its_definition_behind_replies(session, name, inputs)
    _tokens_are_the_rows_of_the_image(session, inputs, states)


def _tokens_are_the_rows_of_the_image(
    session: Session, inputs: dict[str, Any], states: dict[int, Tensor]
) -> None:
    """Wherever they can be averaged, and beside what is averaged; each with its place."""
    named = [
        (locus, ("mean", "tokens") if locus.layer % 2 else ("tokens",))
        for locus in session.anatomy.loci
        if "mean" in session.readouts[locus.name]
    ]
    facts = session.facts(inputs)
    reader = Reader(session.model, session.anatomy, named)
    with reader.attached(), reader.recording(facts, session.loaded.device):
        session.forward(session.on_device(inputs))
    found = reader.collect()
    assert len(found.tokens) == len(named) > 2
    for index, locus in enumerate(session.anatomy.loci):
        if (cell := Cell(locus.module, locus.layer, "tokens")) not in found.tokens:
            continue
        rows = flatten(states[index]).detach().float().numpy()
        layout = facts.token_map(locus, tuple(states[index].shape))
        both = list(found.tokens[cell].by_sample())
        for sample, (values, places) in zip(layout.samples, both, strict=True):
            assert np.array_equal(values, rows[sample.image])
            none = np.full((len(sample.image), 2), -1)
            assert np.array_equal(places, none if sample.cells is None else sample.cells)
        if mean := [means for at, means in found.items() if at == (*cell[:2], "mean")]:
            averaged = [values.mean(axis=0) for values, _ in both]
            np.testing.assert_allclose(mean[0], averaged, rtol=1e-3, atol=1e-4)


def _equals_its_definition_behind_replies(
    session: Session, name: str, inputs: dict[str, Any]
) -> None:
    """Of two replies of which one and three tokens are read."""
    n = len(inputs["input_ids"])
    facts = session.facts(inputs).behind((1, 3)[:n])
    whole = appended(session.on_device(inputs), torch.full((n, 3), 65))
    loci = session.anatomy.of("llm")
    states: dict[int, Tensor] = {}
    with watching(session.model, loci, states.setdefault):
        session.forward(whole)
    reader = Reader(session.model, session.anatomy, [(locus, (name,)) for locus in loci])
    with reader.attached(), reader.recording(facts, session.loaded.device):
        session.forward(whole)
    vectors = reader.collect()
    for index, locus in enumerate(loci):
        tokens = facts.token_map(locus, tuple(states[index].shape))
        found = vectors[Cell("llm", locus.layer, name)]
        for sample, vector in zip(tokens.samples, found, strict=True):
            expected = by_definition(known_readouts()[name], sample, flatten(states[index]))
            np.testing.assert_allclose(vector, expected, rtol=1e-3, atol=1e-4)


def _run(lake: Lake, *arguments: str) -> Result:
    asked = [*arguments, "--lake", str(lake.root)]
    found = CliRunner().invoke(cli, asked, catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return found


@pytest.mark.slow
def test_a_packages_readout_is_probed_and_shown_with_and_without_it(
    tmp_path: Any,
) -> None:
    lake = Lake.at(tmp_path / "lake")
    with pytest.MonkeyPatch.context() as patch, installing(tmp_path / "site", patch) as install:
        install(GROUP, "centre", EXAMPLE, "Centre")
        install(GROUP, "edges", f"from {__name__} import Edges", "Edges")
        _store_and_probe(lake)
        _diagnose_and_show(lake, tmp_path / "with.html")
    assert not brought_readouts()
    refresh(lake, force=True)
    _run(lake, "probe", "--model", "tiny-digits", "--dataset", "digits", "--seeds", "2")
    _diagnose_and_show(lake, tmp_path / "without.html")


def _store_and_probe(lake: Lake) -> None:
    of = ("--model", "tiny-digits", "--dataset", "digits")
    vision = ("--module", "vision")
    _run(
        lake, "extract", *of, *vision, "--readout", "centre", "--readout", "edges", "--limit", "200"
    )
    _run(lake, "probe", *of, "--seeds", "1")
    shown = _run(
        lake,
        "sql",
        "SELECT readout, module, layer, n_seeds, test_accuracy > 0 AS scored FROM signal_flow",
        "--format",
        "csv",
    )
    assert "centre,vision,0,1,True" in shown.output
    kept = _run(lake, "sql", "SELECT * EXCLUDE run_id FROM package_readout", "--format", "csv")
    assert "centre,image,1,True,centre_package.Centre" in kept.output


def _diagnose_and_show(lake: Lake, page: Path) -> None:
    of = ("--model", "tiny-digits", "--dataset", "digits")
    stands = "SELECT DISTINCT readout FROM stage_candidate WHERE stage = 'vision' ORDER BY readout"
    found = _run(lake, "sql", stands, "--format", "csv").output.split()[1:]
    assert found == ["centre", "edges", "likelihood"]
    _run(lake, "diagnose", *of, "--resamples", "100")
    reached = "SELECT max(point) > 0 AS reached FROM stage_interval WHERE stage = 'vision'"
    assert _run(lake, "sql", reached, "--format", "csv").output.split()[1:] == ["True"]
    with open_catalogue(lake) as con:
        assert not prepare(con, lake)
        wrong = con.execute("SELECT count(*) FROM checked_locus WHERE min_values <> width")
        assert wrong.fetchall() == [(0,)]
    _run(lake, "report", "--out", str(page))
    drawn = page.read_text(encoding="utf-8")
    assert all(f">{name}</text>" in drawn for name in ("centre", "edges"))


@pytest.mark.slow
def test_a_readout_installed_later_is_added_to_what_a_lake_holds(
    lake: Lake, llava_folder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ExtractRequest(
        str(llava_folder), "pictures", max_new_tokens=4, modules=["vision"], limit=3
    )
    monkeypatch.setattr(readouts, "_registered", {})
    assert extract(lake, asked).added
    assert not extract(lake, asked).added
    register_readout(page_readout())
    assert extract(lake, asked).added
    assert not extract(lake, asked).added
    with connect(lake) as wh:
        query = "SELECT readout, count(DISTINCT sample_id) FROM activation GROUP BY readout"
        counts = dict(wh.sql(query).fetchall())
        keys = "(module, layer, readout, sample_id)"
        twice = wh.sql(f"SELECT count(*) - count(DISTINCT {keys}) FROM activation")
        assert twice.fetchall() == [(0,)]
    assert counts["centre"] == counts["mean"] == 3


def test_another_readout_of_a_stored_name_is_refused(
    lake: Lake, llava_folder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ExtractRequest(
        str(llava_folder), "pictures", max_new_tokens=4, readouts=["centre"], limit=3
    )
    monkeypatch.setattr(readouts, "_registered", {})
    first = register_readout(page_readout())
    extract(lake, asked)
    monkeypatch.setattr(type(first), "facts", ReadoutFacts("centre", reads="image", slots=2))
    with pytest.raises(LayerhouseError, match="the lake holds another readout 'centre'"):
        extract(lake, asked)


def test_a_packages_readout_that_is_not_what_it_says_is_named(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Edges, "facts", READOUTS["mean"])
    with pytest.raises(LayerhouseError, match="has the name of one of Layerhouse's own"):
        register_readout(Edges())
    install(GROUP, "middle", EXAMPLE, "Centre")
    with pytest.raises(LayerhouseError, match=r"entry point middle .* named 'centre'"):
        known_readouts()


def test_slots_that_do_not_fit_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readouts, "_registered", {})
    readout = register_readout(page_readout())
    monkeypatch.setattr(type(readout), "facts", ReadoutFacts("centre", "image", slots=3))
    tokens = TokenMap(4, (SampleRows(np.arange(4), np.arange(4)),))
    with pytest.raises(LayerhouseError, match=r"centre .* has 3 slots, which do not fit"):
        build_pooler(tokens, ("centre",), torch.device("cpu"))


def test_an_unknown_readout_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="unknown readout 'men'; did you mean mean"):
        readouts.readout_named("men")
