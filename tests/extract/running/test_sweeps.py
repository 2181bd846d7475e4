"""Sweeps: many prompts and orders of options asked about each image, beside the run's own."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import layerhouse
from extract.running import extract
from extract.sharing import ExtractRequest, look_up
from warehouse.catalogue import connect
from warehouse.errors import LayerhouseError, UsageError
from warehouse.lake import Lake

MODEL = "tiny-digits"
TOLD = "SELECT prompt_id, method, sample_id, predicted_class_index, label_logprobs, text"

OWN = ExtractRequest(MODEL, "digits", limit=3, device="cpu", preparers=0, modules=("connector",))


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Twelve digits, answered under every shipped prompt in every order, and nothing else."""
    place = Lake.at(tmp_path_factory.mktemp("sweep") / "lake")
    swept = ExtractRequest(MODEL, "digits", prompts=("all",), orders="rotate", limit=12)
    extract(place, swept_only(swept))
    return place


def swept_only(request: ExtractRequest, **more: Any) -> ExtractRequest:
    return replace(request, answers_only=True, device="cpu", preparers=0, **more)


def rows(lake: Lake, query: str) -> list[Any]:
    with connect(lake) as wh:
        return wh.sql(query).fetchall()


def test_every_prompt_and_order_is_answered_once_for_every_sample(lake: Lake) -> None:
    asked = "FROM answer WHERE prompt_id IN ('default', 'paper', 'letters', 'clinical', 'reasons')"
    found = Counter(rows(lake, f"SELECT prompt_id, option_order, method {asked}"))
    assert set(found.values()) == {12}
    assert len(found) == 5 * 10 * 2
    assert rows(lake, "SELECT count(*) FROM activation") == [(0,)]
    assert rows(lake, "SELECT count(*), count(DISTINCT sample_id) FROM diagnosed_answer") == [
        (24, 12)
    ]


@pytest.mark.slow
def test_a_sweep_done_adds_nothing_and_more_of_it_only_what_is_new(lake: Lake) -> None:
    swept = swept_only(ExtractRequest(MODEL, "digits", limit=12))
    assert not extract(lake, swept_only(swept, prompts=("letters",), orders="rotate")).added
    before = rows(lake, "SELECT count(*) FROM answer")
    told = swept_only(swept, prompts=("letters",), system="Be brief.", answers=("generate",))
    extract(lake, told)
    assert rows(lake, "SELECT count(*) FROM answer") == [(before[0][0] + 12,)]
    assert rows(lake, "SELECT system FROM prompt WHERE prompt_id LIKE 'letters+%'") == [
        ("Be brief.",)
    ]


@pytest.mark.slow
def test_the_runs_own_question_is_answered_as_an_ordinary_extraction_does(
    lake: Lake, tmp_path: Path
) -> None:
    other = Lake.at(tmp_path / "other")
    extract(other, ExtractRequest(MODEL, "digits", limit=12, device="cpu", preparers=0))
    query = f"{TOLD} FROM diagnosed_answer ORDER BY ALL"
    mine, theirs = rows(lake, query), rows(other, query)
    assert len(mine) == 24
    for swept, plain in zip(mine, theirs, strict=True):
        assert swept[:4] == plain[:4]
        assert swept[4] == pytest.approx(plain[4], abs=1e-4)
        assert swept[5] == plain[5]


@pytest.mark.slow
def test_activations_join_a_lake_of_sweeps_and_a_sweep_a_lake_of_activations(
    tmp_path: Path,
) -> None:
    other = Lake.at(tmp_path / "other")
    own = OWN
    extract(other, own)
    extract(other, swept_only(ExtractRequest(MODEL, "digits", limit=3), prompts=("all",)))
    counts = rows(other, "SELECT prompt_id, count(*) FROM answer GROUP BY ALL ORDER BY ALL")
    assert [n for _, n in counts] == [6] * 5
    assert not extract(other, own).added


@pytest.mark.slow
def test_activations_are_those_of_one_named_prompt(tmp_path: Path) -> None:
    lake = Lake.at(tmp_path / "lake")
    own = OWN
    extract(lake, replace(own, prompts=("letters",)))
    assert rows(lake, "SELECT DISTINCT prompt_id FROM diagnosed_answer") == [("letters",)]
    extract(lake, swept_only(own, modules=(), prompts=("default", "letters")))
    assert rows(lake, "SELECT DISTINCT prompt_id FROM diagnosed_answer") == [("letters",)]
    counts = rows(lake, "SELECT prompt_id, count(*) FROM answer GROUP BY ALL ORDER BY ALL")
    assert counts == [("default", 6), ("letters", 6)]
    with pytest.raises(LayerhouseError, match="another configuration"):
        extract(lake, own)


def test_letters_are_read_by_the_order_shown() -> None:
    """What a letter means moves with the options; names mean what they always mean."""
    from extract.answering.generating import Reply
    from extract.answering.methods import Question, _read
    from extract.replies import ClassNames

    shown = [2, 0, 1]
    names = [ClassNames(n, n) for n in ("normal", "benign", "malignant")]
    question = Question([names[i] for i in shown], [[1], [2], [3]], True, 9, shown=shown)
    said = {t: _read(Reply(t, t, 2, "stop"), question)["predicted"] for t in ("A", "C.", "normal")}
    assert said == {"A": 2, "C.": 1, "normal": 0}


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"prompts": ("all",)}, "add --answers-only"),
        ({"prompts": ("letters", "paper")}, "letters, paper; add --answers-only"),
        ({"orders": "rotate"}, "add --answers-only"),
        ({"prompts": ("leters",)}, "did you mean letters"),
        ({"orders": "rotated", "answers_only": True}, "did you mean rotate"),
        ({"answers_only": True, "modules": ("vision",)}, "no layer is read"),
        ({"answers_only": True, "answers": ()}, "name generate"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(
    asked: dict[str, Any], sentence: str, lake: Lake
) -> None:
    with pytest.raises(UsageError, match=sentence):
        look_up(lake, ExtractRequest(MODEL, "digits", device="cpu", **asked))


@pytest.mark.slow
def test_a_file_of_prompts_is_asked_with_and_known_to_the_lake_since(
    lake: Lake, tmp_path: Path
) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(
        'template = "请问这是什么?{options}"\nlanguage = "zh"\noption_style = "numbers"\n'
    )
    words: dict[str, Any] = {
        "answers_only": True,
        "limit": 2,
        "answer": "generate",
        "device": "cpu",
    }
    layerhouse.extract(MODEL, "digits", prompt=str(file), lake=lake, **words)
    assert rows(lake, "SELECT language FROM prompt WHERE prompt_id = 'mine'") == [("zh",)]
    again = layerhouse.extract(MODEL, "digits", prompt="mine", lake=lake, **words)
    assert not again.added
    file.write_text('template = "Which? {options}"\n')
    with pytest.raises(UsageError, match="taken by a prompt of other words"):
        layerhouse.extract(MODEL, "digits", prompt=str(file), lake=lake, **words)
