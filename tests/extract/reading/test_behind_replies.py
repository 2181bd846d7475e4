"""What is read behind a reply is what the plain model shows of prompt and reply, and it is read
where the reply begins to name the class.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from extract.answering.continuing import appended
from extract.answering.generating import generate
from extract.answering.methods import Question
from extract.answering.places import ReplyPlace, places_of
from extract.replies.class_names import ClassNames
from extract.running import following
from extract.running.batches import Runner
from extract.running.clock import Stopwatch
from extract.running.extraction import ExtractRequest, extract
from extract.running.preparing import Prepared
from tests.checks import broken
from tests.extract.answering.test_generating import _prompted
from tests.extract.conftest import FamilyFolders
from tests.extract.reading.test_every_readout import LAYOUTS
from tests.extract.sessions import Opened, opened
from tests.tables import tables
from warehouse.errors import LayerhouseError, UsageError
from warehouse.lake.lake import Lake

COUNTS = (0, 3)
"""Tokens of the replies to the two pictures of a family that are read."""
CLASSES = [ClassNames("normal", "normal"), ClassNames("pneumonia", "viral pneumonia")]


def _question(**changes: Any) -> Question:
    asked: dict[str, Any] = {"letters": False, "max_new_tokens": 5, **changes}
    return Question(CLASSES, [[65], [66]], **asked)


@pytest.mark.parametrize(
    "family",
    ["llava", *(pytest.param(f, marks=pytest.mark.slow) for f in LAYOUTS if f != "llava")],
)
def test_a_reply_is_read_as_the_plain_model_shows_it(
    family: str, family_folder: FamilyFolders, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = opened(family_folder(family), stages=())
    session, shown = model.session, model.pictures
    places = [ReplyPlace(n, True) for n in COUNTS[: len(shown)]]
    monkeypatch.setattr(following, "places_of", lambda *_: places)
    loci = session.anatomy.of("llm")
    wanted = [(locus, ("last", "reply")) for locus in loci]
    names = [str(index) for index in range(len(shown))]
    prepared = Prepared(names, session.encode(shown), {})
    with Runner(session, None, {None: _question()}, Stopwatch()) as runner:
        batch = runner.run(prepared, wanted, ("generate",))()
    assert batch.places == dict(zip(names, places, strict=True))
    for index, image in enumerate(shown):
        prompted = _prompted(session, [image])
        said = generate(session, prompted, 5)[:, : COUNTS[index]]
        with torch.inference_mode():
            plain = session.model(
                **appended(prompted.inputs, said), use_cache=False, output_hidden_states=True
            )
        states = _decoder_states(plain)
        for place, locus in enumerate(loci[:-2]):  # transformers keeps no last block, only its norm
            expected = states[place + 1][0, -1].float().numpy()
            vectors = {
                cell.readout: v[index]
                for cell, v in batch.vectors.items()
                if cell[:2] == ("llm", locus.layer)
            }
            np.testing.assert_allclose(vectors["reply"], expected, rtol=1e-3, atol=1e-4)
            if COUNTS[index] == 0:
                np.testing.assert_allclose(vectors["last"], expected, rtol=1e-3, atol=1e-4)
            else:
                assert not np.allclose(vectors["last"], expected, rtol=1e-2, atol=1e-3)
        end = {c.readout: v[index] for c, v in batch.vectors.items() if c.layer == loci[-1].layer}
        np.testing.assert_allclose(
            end["reply"], states[-1][0, -1].float().numpy(), rtol=1e-3, atol=1e-4
        )


def _decoder_states(output: Any) -> Any:
    inner = getattr(output, "language_model_outputs", None) or output
    return inner.hidden_states


@pytest.mark.parametrize(
    ("reply", "before", "changes"),
    [
        ("normal", "", {}),
        ("This is a normal image.", "This is a", {}),
        ("There is no sign of viral pneumonia here", "There is no sign of", {}),  # so: normal
        ("<think>normal? viral pneumonia?</think>It is normal, normal.", "</think>It is", {}),
        ("normal? yes</think> (viral pneumonia)", "</think> (", {"opening": "<think>"}),
        ("A. normal B. viral pneumonia. My answer is B.", "My answer is ", {"letters": True}),
        ('{"answer": "viral pneumonia"}', '{"answer": "', {}),
        ("Viral pneumonia!", "", {}),
    ],
)
def test_the_place_is_before_the_name_of_what_is_answered(
    llava: Opened, reply: str, before: str, changes: dict[str, Any]
) -> None:
    tokenizer = llava.session.loaded.processor.tokenizer
    tokens = tokenizer(reply, add_special_tokens=False)["input_ids"]
    ended = [*tokens, llava.session.stop_tokens[0]]
    (place,) = places_of(llava.session, _question(**changes), np.array([ended]))
    assert place.names_class
    said = tokenizer.decode(tokens[: place.n_before])
    assert said.replace(" ", "").endswith(before.replace(" ", ""))
    rest = tokenizer.decode(tokens[place.n_before :])
    assert rest.replace(" ", "").startswith(reply.replace(" ", "")[len(said.replace(" ", "")) :])


@pytest.mark.parametrize("reply", ["", "I cannot tell.", "normal or viral pneumonia"])
def test_a_reply_that_names_no_class_is_read_at_its_end(llava: Opened, reply: str) -> None:
    tokenizer = llava.session.loaded.processor.tokenizer
    stop = llava.session.stop_tokens[0]
    tokens = tokenizer(reply, add_special_tokens=False)["input_ids"]
    (place,) = places_of(llava.session, _question(), np.array([[*tokens, stop, stop]]))
    assert place == ReplyPlace(len(tokens), False)


def test_a_cut_reply_that_had_not_answered_is_read_at_its_end(llava: Opened) -> None:
    tokenizer = llava.session.loaded.processor.tokenizer
    tokens = tokenizer("The image is normal", add_special_tokens=False)["input_ids"]
    ended = np.array([[*tokens, llava.session.stop_tokens[0]]])
    (cut,) = places_of(llava.session, _question(), ended[:, :-1])
    (whole,) = places_of(llava.session, _question(), ended)
    assert cut == ReplyPlace(len(tokens), False)
    assert whole.names_class


def _extract(lake: Lake, folder: Path, tokens: int | None = 4, **changes: Any) -> Any:
    asked = {"answers": ("generate",), "limit": 6, "layers": [-1], "modules": ["llm"], **changes}
    return extract(lake, ExtractRequest(str(folder), "pictures", max_new_tokens=tokens, **asked))


@pytest.mark.slow
def test_replies_are_read_only_where_it_is_asked_for(lake: Lake, llava_folder: Path) -> None:
    _extract(lake, llava_folder)
    with tables(lake) as wh:
        assert ("reply",) not in wh.sql("SELECT DISTINCT readout FROM activation").fetchall()
        before = wh.sql("SELECT sample_id, raw_text FROM answer ORDER BY sample_id").fetchall()
        assert wh.sql("SELECT count(*) FROM reply_place").fetchall() == [(0,)]
    read = _extract(lake, llava_folder, readouts=["reply"])
    assert read.added
    assert not _extract(lake, llava_folder, readouts=["reply"]).added
    with tables(lake) as wh:
        after = wh.sql("SELECT sample_id, raw_text FROM answer ORDER BY sample_id").fetchall()
        found = wh.sql(
            "SELECT count(*), count(DISTINCT sample_id) FROM activation WHERE readout = 'reply'"
        ).fetchall()
        places = wh.sql(
            "SELECT count(*), bool_and(n_before = n_tokens OR names_class) "
            "FROM reply_place JOIN answer USING (sample_id)"
        ).fetchall()
    assert after == before
    assert found == [(6, 6)]
    assert places == [(6, True)]
    assert broken(lake) == set()


def test_longer_replies_than_were_read_are_refused(lake: Lake, llava_folder: Path) -> None:
    _extract(lake, llava_folder, readouts=["reply"])
    with pytest.raises(LayerhouseError, match="runs remove"):
        _extract(lake, llava_folder, 6)
    with pytest.raises(UsageError, match="--max-new-tokens 4"):
        _extract(lake, llava_folder, 2, readouts=["reply"], layers=[0])
    assert not _extract(lake, llava_folder, 2, readouts=["reply"]).added


def test_without_replies_there_is_nothing_behind_them(lake: Lake, llava_folder: Path) -> None:
    with pytest.raises(UsageError, match="add the answer generate"):
        _extract(lake, llava_folder, None, readouts=["reply"], answers=("likelihood",))
    with pytest.raises(UsageError, match="none of the chosen loci has the readout 'reply'"):
        _extract(lake, llava_folder, readouts=["reply"], modules=["vision"])


def test_faults_strike_what_is_read_behind_replies(lake: Lake, llava_folder: Path) -> None:
    for fault in ((), ("noise@vision:2",)):
        _extract(lake, llava_folder, readouts=["reply"], faults=fault)
    with tables(lake) as wh:
        found = wh.sql(
            "SELECT count(DISTINCT vector) FROM activation WHERE readout = 'reply'"
        ).fetchall()
    assert found == [(12,)]
