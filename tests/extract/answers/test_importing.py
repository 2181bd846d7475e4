"""Answers from elsewhere: what people have enters right, or one sentence says why not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from extract.answers import ImportOptions, import_answers, reparse
from extract.answers.reading import named_class
from tests.extract.answers.lake import (
    DATASET,
    MODEL,
    RIGHT,
    SAMPLES,
    TRUTH,
    answered,
    answers_lake,
    lines,
    plain_rows,
)
from tests.tables import tables
from warehouse.catalogue import ClassRow, connect
from warehouse.errors import LayerhouseError, UsageError
from warehouse.lake import Lake, remove

Rows = list[dict[str, Any]]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return answers_lake(tmp_path / "lake")


def imported(lake: Lake, path: Path, **options: Any) -> tuple[str, ...]:
    """Import a file; what was noted of it."""
    given = {"title": "GPT-X", **options}
    summary = import_answers(lake, path, MODEL, DATASET, ImportOptions(**given))
    assert summary.added
    return summary.notes


def said(of: int) -> str:
    return f"The lesion looks {TRUTH[of]}."


def lm_eval() -> Rows:
    """One line per document and filter, replies in lists of lists."""
    return [
        {
            "doc_id": n,
            "doc": {"image_path": f"images/{name}", "question": "What is it?"},
            "target": TRUTH[of],
            "arguments": {"gen_args_0": {"arg_0": "What is it?", "arg_1": {"until": []}}},
            "resps": [[said(of)]],
            "filtered_resps": [TRUTH[of] if kind == "strict" else ""],
            "filter": kind,
        }
        for kind in ("strict", "flexible")
        for n, (name, (_, of)) in enumerate(SAMPLES.items())
    ]


def lm_eval_likelihoods() -> Rows:
    """Options scored as (log-likelihood, is greedy), in text; the target is an option's number."""
    return [
        {
            "doc_id": n,
            "doc": {"image": {"path": name, "bytes": None}},
            "target": 1 - of,
            "arguments": [["What is it?", " malignant"], ["What is it?", " benign"]],
            "resps": [[["-7.5" if of == 0 else "-0.5", "False"]], [["-2.0", "True"]]],
            "filtered_resps": [["-7.5" if of == 0 else "-0.5", "False"], ["-2.0", "True"]],
        }
        for n, (name, (_, of)) in enumerate(SAMPLES.items())
    ]


def lmms_eval() -> Rows:
    """Flattened replies; `resps` is left out where no filter changed them."""
    return [
        {"doc_id": name, "input": "What is it?", "target": TRUTH[of], "filtered_resps": said(of)}
        if n % 2
        else {"doc_id": name, "input": "What is it?", "target": TRUTH[of], "resps": [said(of)]}
        | {"filtered_resps": ""}
        for n, (name, (_, of)) in enumerate(SAMPLES.items())
    ]


def vlmevalkit() -> Rows:
    """Options in columns, in an order of each sample's own; replies and answers are letters."""
    rows = []
    for n, (name, (_, of)) in enumerate(SAMPLES.items()):
        options = TRUTH if n % 3 else TRUTH[::-1]
        letter = "AB"[options.index(TRUTH[of])]
        row = {"index": n, "image_path": f"C:\\data\\{name}".replace("/", "\\")}
        rows.append(row | dict(zip("AB", options, strict=True)))
        rows[-1] |= {"answer": letter, "prediction": f"{letter}."}
    return rows


def medevalkit() -> Rows:
    """Choices with their letters, the answer a letter, folders of another machine."""
    return [
        {
            "image_path": f"./datas/Breast/{Path(name).with_suffix('.jpg')}",
            "question": "What is it?",
            "choices": ["A. malignant", "B. benign"],
            "answer": "BA"[of],
            "response": f"<think>A or B?</think><answer>{'BA'[of]}</answer>",
        }
        for name, (_, of) in SAMPLES.items()
    ]


def llava() -> Rows:
    return [
        {"question_id": n, "image": Path(name).name, "prompt": "What is it?", "text": said(of)}
        for n, (name, (_, of)) in enumerate(SAMPLES.items())
    ]


def openai_batch() -> Rows:
    """Replies deep in the body of a response."""
    return [
        {
            "id": f"batch_req_{n}",
            "custom_id": name,
            "response": {
                "status_code": 200,
                "body": {
                    "choices": [{"message": {"content": said(of)}, "finish_reason": "stop"}],
                    "usage": {"completion_tokens": 7},
                },
            },
            "error": None,
        }
        for n, (name, (_, of)) in enumerate(SAMPLES.items())
    ]


def anthropic_batch() -> Rows:
    return [
        {
            "custom_id": name,
            "result": {
                "type": "succeeded",
                "message": {
                    "content": [{"type": "text", "text": said(of)}],
                    "stop_reason": "end_turn",
                },
            },
        }
        for name, (_, of) in SAMPLES.items()
    ]


def signed_addresses() -> Rows:
    return [
        {"image": f"https://store/img/{name}?sig=a/b.png&x=1#frame=2", "reply": said(of)}
        for name, (_, of) in SAMPLES.items()
    ]


def prompt_with_letters() -> Rows:
    return [
        {"sample_id": name, "prompt": "Which?\n(A) malignant\n(B) benign", "reply": "BA"[of]}
        for name, (_, of) in SAMPLES.items()
    ]


def tabbed(path: Path, rows: Rows) -> Path:
    names = list(rows[0])
    text = "\n".join(["\t".join(names), *("\t".join(str(r[k]) for k in names) for r in rows)])
    path.write_text(text, encoding="utf-8-sig")
    return path


def as_json(path: Path, rows: Rows) -> Path:
    path.write_text(json.dumps(rows), encoding="utf-8")
    return path


def by_sample(path: Path, rows: Rows) -> Path:
    """Objects under the names of their samples."""
    named = {row["sample_id"]: {k: row[k] for k in row if k != "sample_id"} for row in rows}
    path.write_text(json.dumps(named), encoding="utf-8")
    return path


def by_column(path: Path, rows: Rows) -> Path:
    """As pandas' `to_json` writes a table."""
    columns = {name: {str(n): row[name] for n, row in enumerate(rows)} for name in rows[0]}
    path.write_text(json.dumps(columns), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("rows", "name", "method", "write"),
    [
        (lm_eval(), "samples.jsonl", "lm-eval", lines),
        (lm_eval_likelihoods(), "samples.jsonl", "lm-eval", lines),
        (lmms_eval(), "samples.jsonl", "lmms-eval", lines),
        (vlmevalkit(), "GPT_Breast.tsv", "vlmevalkit", tabbed),
        (medevalkit(), "results.json", "medevalkit", as_json),
        (llava(), "answers.jsonl", "answers", lines),
        (prompt_with_letters(), "answers.jsonl", "answers", lines),
        (openai_batch(), "batch_output.jsonl", "openai-batch", lines),
        (anthropic_batch(), "results.jsonl", "anthropic-batch", lines),
        (signed_addresses(), "answers.jsonl", "answers", lines),
        (plain_rows(), "answers.json", "answers", by_sample),
        (plain_rows(), "answers.json", "answers", by_column),
    ],
)
def test_what_harnesses_write_is_read(
    rows: Rows,
    name: str,
    method: str,
    write: Callable[[Path, Rows], Path],
    lake: Lake,
    tmp_path: Path,
) -> None:
    imported(lake, write(tmp_path / name, rows))
    assert answered(lake) == RIGHT
    with tables(lake) as wh:
        assert wh.sql("SELECT DISTINCT method FROM answer").fetchall() == [(f"imported:{method}",)]
        assert wh.sql("SELECT title, n_parameters FROM model").fetchall() == [("GPT-X", None)]


def changed(**more: Any) -> Callable[[Rows], Rows]:
    """The plain rows with the first one changed."""
    return lambda rows: [rows[0] | more, *rows[1:]]


@pytest.mark.parametrize(
    ("change", "options", "sentence"),
    [
        (
            lambda rows: [*rows, rows[0] | {"reply": "Malignant."}],
            {},
            "several replies for the sam",
        ),
        (changed(reply=["benign", "malignant"]), {}, "2 different replies to one sample"),
        (changed(sample_id="img_z.png"), {}, "1 of 6 rows of .* name no sample of breast, first"),
        (
            lambda rows: [row | {"sample_id": f"0{n}.png"} for n, row in enumerate(rows)],
            {},
            "6 of 6",
        ),
        (changed(sample_id=None), {}, "line 1, row 1 of .* names no sample"),
        (changed(sample_id=["a.png", "b.png"]), {}, "names 2 images"),
        (changed(label="malignant"), {}, "contradict those of breast for 1 of 1 samples, first"),
        (changed(reply={"te\x95xt": "benign"}), {}, r"has an object for a reply \('te\\x95xt'\)"),
        (changed(scores={"benign": 0.4}), {}, "has 1 scores .*where the dataset has 2 classes"),
        (changed(scores=[0.4, float("nan")]), {}, "has nan for a score"),
        (changed(scores=[0.4, 0.3, 0.3]), {}, "has 3 scores where the dataset has 2"),
        (lambda rows: [{"sample_id": row["sample_id"]} for row in rows], {}, "has no replies"),
        (lambda rows: [{"reply": row["reply"]} for row in rows], {}, "names no samples"),
        (lambda _: [], {}, "is empty"),
        (lambda rows: rows, {"title": None}, "neither the lake nor the registry knows a model"),
        (lambda rows: rows, {"columns": {"reply": "replies"}}, "no column 'replies'; did you mean"),
        (lambda rows: rows, {"columns": {"answer": "reply"}}, "names nothing that is read"),
        (lambda rows: rows, {"name": "///"}, "no method can be called"),
        (lambda rows: [row | {"reply": None} for row in rows], {}, "holds no reply to any sample"),
        (lambda rows: [row | {"reply": n % 2} for n, row in enumerate(rows)], {}, "are numbers, f"),
        (lambda rows: [row | {"reply": "1.0"} for row in rows], {}, "first '1' .*benign, malign"),
        (lambda rows: [row | {"reply": True} for row in rows], {}, "no class that is called so"),
        (lambda rows: rows, {"columns": {"reply": "reply.-1.content"}}, "no column 'reply.-1.con"),
    ],
)
def test_what_is_not_certain_is_refused_and_nothing_enters(
    change: Callable[[Rows], Rows],
    options: dict[str, Any],
    sentence: str,
    lake: Lake,
    tmp_path: Path,
) -> None:
    path = lines(tmp_path / "replies.jsonl", change(plain_rows()))
    before = lake.store.commit_names()
    with pytest.raises(LayerhouseError, match=sentence):
        imported(lake, path, **options)
    assert lake.store.commit_names() == before


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("r.xlsx", "", "save it as a tab-separated .tsv"),
        ("r.pkl", "", "may run code when it is read"),
        ("r.jsonl.gz", "", "is compressed; unpack it"),
        ("r.md", "", "is none of .jsonl"),
        ("r.json", '{"results": {"breast": {"acc": 0.5}}}', "holds no list of replies"),
        ("r.json", '{"a": 1}\n{"a": 2}', "it is .jsonl"),
        ("r.json", "[1, 2]", "holds no list of replies"),
        ("r.jsonl", "not json", "line 1 of .* is not JSON"),
        ("r.csv", "sample_id;reply\na;b\n", "add --delimiter ';'"),
        ("r.csv", "sample_id,reply\na,b,c\n", "line 2 of .* has 3 cells"),
    ],
)
def test_files_that_are_no_answers_are_refused_by_name(
    name: str, content: str, sentence: str, lake: Lake, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    with pytest.raises(LayerhouseError, match=sentence) as refused:
        imported(lake, path)
    assert name in str(refused.value)
    with pytest.raises(LayerhouseError, match="there is no file"):
        imported(lake, tmp_path / "nowhere.jsonl")
    with pytest.raises(LayerhouseError, match="is a folder"):
        imported(lake, tmp_path)


def test_a_byte_order_mark_and_the_line_ends_of_windows_change_nothing(
    lake: Lake, tmp_path: Path
) -> None:
    rows = [f'{name},"{said(of)}\r\nSure."' for name, (_, of) in SAMPLES.items()]
    path = tmp_path / "replies.csv"
    path.write_bytes("\r\n".join(["sample_id,reply", *rows, ""]).encode("utf-8-sig"))
    imported(lake, path)
    assert answered(lake) == RIGHT


LIMITED = "Error code: 429 - {'error': {'message': 'Rate limit reached',\n 'code': 'limit'}}"


@pytest.mark.parametrize(
    "silent",
    [
        *(None, float("nan"), "Failed to obtain answer via API.", "[ERROR]: timeout", []),
        *(LIMITED, "Request timed out.", "Connection error."),
    ],
)
def test_what_is_no_reply_is_left_out_and_said(silent: Any, lake: Lake, tmp_path: Path) -> None:
    path = lines(tmp_path / "replies.jsonl", changed(reply=silent)(plain_rows()))
    notes = imported(lake, path)
    assert "1 rows without a reply were left out" in notes
    assert any("1 of 6 samples of breast have no answer" in n and "train 1" in n for n in notes)
    assert len(answered(lake)) == 5


def test_an_empty_cell_of_a_csv_file_is_no_reply(lake: Lake, tmp_path: Path) -> None:
    cells = ["", "nan", *(said(of) for _, of in SAMPLES.values())][: len(SAMPLES)]
    path = tmp_path / "r.csv"
    rows = [f"{name},{cell}" for name, cell in zip(SAMPLES, cells, strict=True)]
    path.write_text("\n".join(["sample_id,reply", *rows]), encoding="utf-8")
    assert "2 rows without a reply were left out" in imported(lake, path)


def test_an_empty_reply_is_one_that_names_no_class(lake: Lake, tmp_path: Path) -> None:
    imported(lake, lines(tmp_path / "replies.jsonl", changed(reply="")(plain_rows())))
    assert answered(lake)["benign/img_a.png"] is None


def test_names_that_are_numbers_mean_ids_alone(tmp_path: Path) -> None:
    numbered = answers_lake(tmp_path / "ids", {"7": ("test", 0), "8": ("test", 1)})
    rows = [{"doc_id": 7, "reply": "benign"}, {"doc_id": 8.0, "reply": "malignant"}]
    imported(numbered, lines(tmp_path / "r.jsonl", rows))
    assert answered(numbered) == {"7": "benign", "8": "malignant"}
    filed = answers_lake(tmp_path / "files", {"a/0007.png": ("test", 0), "b/0007.png": ("test", 1)})
    for alone in ("0007.png", "7", "x/0007.png"):
        with pytest.raises(LayerhouseError, match="name no sample"):
            imported(filed, lines(tmp_path / "r.jsonl", [{"image": alone, "reply": "benign"}]))
    rows = [{"image": f"x/{of}/0007.jpeg", "reply": "benign"} for of in "ab"]
    imported(filed, lines(tmp_path / "r.jsonl", rows))
    assert len(answered(filed)) == 2


def test_a_file_that_several_samples_have_is_refused(tmp_path: Path) -> None:
    lake = answers_lake(tmp_path / "lake", {"a/scan.png": ("test", 0), "b/scan.png": ("test", 1)})
    with pytest.raises(LayerhouseError, match=r"scan\.png may be any of 2 samples"):
        imported(lake, lines(tmp_path / "r.jsonl", [{"image": "scan.png", "reply": "benign"}]))


def test_a_letter_stands_for_a_class_only_where_that_is_known(lake: Lake, tmp_path: Path) -> None:
    rows = [{"sample_id": name, "reply": "AB"[of]} for name, (_, of) in SAMPLES.items()]
    notes = imported(lake, lines(tmp_path / "r.jsonl", rows), name="plain")
    assert set(answered(lake).values()) == {None}
    assert any("6 replies are one letter" in note and "--letters" in note for note in notes)
    imported(lake, lines(tmp_path / "r.jsonl", rows), name="lettered", letters=True)
    with tables(lake) as wh:
        found = wh.sql(
            "SELECT sample_id, label FROM answer JOIN class ON predicted_class_index = class_index "
            "WHERE method = 'imported:lettered'"
        ).fetchall()
    assert dict(found) == RIGHT


def test_an_option_that_is_no_class_is_no_answer(lake: Lake, tmp_path: Path) -> None:
    options = ["a cyst", "malignant", "benign"]
    rows = [row | {"options": options, "reply": "A"} for row in plain_rows()]
    imported(lake, lines(tmp_path / "r.jsonl", rows))
    assert set(answered(lake).values()) == {None}


@pytest.mark.parametrize(
    ("scores", "kind", "logs"),
    [
        ({"malignant": -2.5, "benign": -0.5}, "log probabilities", [-0.5, -2.5]),
        ({"benign": 0.75, "malignant": 0.25}, "probabilities", [-0.287682, -1.386294]),
        ({"benign": 1.0, "malignant": 0.0}, "probabilities", [0.0, -100.0]),
        ({"benign": 0.67, "malignant": 0.34}, "probabilities", [-0.410428, -1.088760]),
        ({"benign": 75, "malignant": 25}, "probabilities in percent", [-0.287682, -1.386294]),
        ({"malignant": 3.0, "benign": 3.0}, "numbers before a softmax", [-0.693147, -0.693147]),
        ({"benign": 0.9, "malignant": 0.8}, "numbers before a softmax", [-0.644397, -0.744397]),
        ({"benign": 60.0, "malignant": 20.0}, "numbers before a softmax", [0.0, -40.0]),
    ],
)
def test_scores_are_kept_as_log_probabilities(
    scores: Any, kind: str, logs: list[float], lake: Lake, tmp_path: Path
) -> None:
    rows = [{"sample_id": name, "scores": scores} for name in SAMPLES]
    notes = imported(lake, lines(tmp_path / "r.jsonl", rows))
    assert f"scores are taken as {kind}" in notes
    with tables(lake) as wh:
        found = wh.sql("SELECT label_logprobs, predicted_class_index, text FROM answer").fetchall()
    assert all(row[0] == pytest.approx(logs, abs=1e-5) for row in found)
    assert {row[1:] for row in found} == {(0, None)}


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ({"scores": [0.75, 0.25]}, False),
        ({"scores": [0.75, 0.25], "reply": "benign"}, False),
        ({"scores": {"malignant": 0.25, "benign": 0.75}}, True),
        ({"scores": [0.25, 0.75], "options": ["malignant", "benign"]}, True),
    ],
)
def test_scores_that_name_no_class_are_refused(
    row: dict[str, Any], named: bool, lake: Lake, tmp_path: Path
) -> None:
    path = lines(tmp_path / "r.jsonl", [{"sample_id": name} | row for name in SAMPLES])
    if not named:
        with pytest.raises(LayerhouseError, match=r"nothing says which class .*score:benign"):
            imported(lake, path)
        if "reply" not in row:
            return
        imported(lake, path, columns={"scores": "none"})
    else:
        imported(lake, path)
    assert set(answered(lake).values()) == {"benign"}


def test_scores_stand_in_columns_too_and_the_reply_is_what_counts(
    lake: Lake, tmp_path: Path
) -> None:
    rows = [row | {"score:benign": 0.4, "score:malignant": 0.6} for row in plain_rows()]
    imported(lake, lines(tmp_path / "r.jsonl", rows))
    assert answered(lake) == RIGHT


def test_other_labels_are_accepted_when_asked_for_and_unknown_samples_are_left_out(
    lake: Lake, tmp_path: Path
) -> None:
    rows = [*changed(label="malignant")(plain_rows()), {"sample_id": "zebra", "reply": "benign"}]
    path = lines(tmp_path / "r.jsonl", rows)
    notes = imported(lake, path, columns={"label": "none"}, skip_unknown=True)
    assert "1 rows that name no sample were left out" in notes
    assert answered(lake) == RIGHT


def test_labels_that_cannot_be_compared_are_counted(lake: Lake, tmp_path: Path) -> None:
    rows = [row | {"label": "yes"} for row in plain_rows()]
    notes = imported(lake, lines(tmp_path / "r.jsonl", rows))
    assert any("compared with the dataset's for 0 of 6 samples" in note for note in notes)


def test_images_without_labels_have_no_answers(tmp_path: Path) -> None:
    lake = answers_lake(tmp_path / "lake", phrases=())
    with pytest.raises(LayerhouseError, match="was registered without labels"):
        imported(lake, lines(tmp_path / "r.jsonl", plain_rows()))


@pytest.mark.slow
def test_the_same_file_again_is_nothing_to_do_and_another_one_is_refused(
    lake: Lake, tmp_path: Path
) -> None:
    path = lines(tmp_path / "r.jsonl", plain_rows())
    imported(lake, path)
    again = import_answers(lake, path, MODEL, DATASET, ImportOptions())
    assert (again.added, again.n) == (False, 6)
    lines(path, changed(reply="Malignant.")(plain_rows()))
    with pytest.raises(LayerhouseError, match=f"layerhouse runs remove {again.run_id}"):
        imported(lake, path)
    with pytest.raises(UsageError, match="has the title 'GPT-X'"):
        imported(lake, path, title="GPT-Y")
    remove(lake, "run", again.run_id)
    imported(lake, path)
    assert answered(lake)["benign/img_a.png"] == "malignant"


def test_what_a_model_saw_in_training_is_said_with_its_answers_or_later(
    lake: Lake, tmp_path: Path
) -> None:
    path, seen = lines(tmp_path / "r.jsonl", plain_rows()), tmp_path / "seen.txt"
    seen.write_text("malignant/img_f.png\n")
    imported(lake, path)
    notes = imported(lake, path, trained_on=(str(seen), "train"), title=None)
    assert "1 of 2 samples are left out" in notes[-1]
    again = import_answers(lake, path, MODEL, DATASET, ImportOptions())
    assert not again.added
    imported(lake, path, name="other", title=None)  # another harness' answers of the same model
    with connect(lake) as wh:
        held = wh.sql("SELECT DISTINCT sample_id FROM seen_sample").fetchall()
        scored = wh.sql(
            "SELECT method, sample_id FROM unseen_answer JOIN sample "
            "USING (dataset_id, sample_id) WHERE split = 'test'"
        )
        assert {name for (name,) in held} == {*list(SAMPLES)[::3], "malignant/img_f.png"}
        assert {name for _, name in scored.fetchall()} == {"benign/img_c.png"}
    with pytest.raises(
        LayerhouseError, match=r"saw 3 samples .* and this is 5; what was said once"
    ):
        imported(lake, path, name="third", trained_on=("val",), title=None)
    remove(lake, "run", again.run_id)
    assert "1 of 2" in imported(lake, path, title=None)[-1]


def test_a_model_of_the_registry_needs_no_title(lake: Lake, tmp_path: Path) -> None:
    path = lines(tmp_path / "r.jsonl", plain_rows())
    summary = import_answers(lake, path, "lingshu-7b", DATASET, ImportOptions())
    assert summary.added
    with tables(lake) as wh:
        (row,) = wh.sql("SELECT hf_id, n_parameters > 1e9, model_type FROM model").fetchall()
    assert row == ("lingshu-medical-mllm/Lingshu-7B", True, None)
    with pytest.raises(UsageError, match="did you mean lingshu-7b"):
        import_answers(lake, path, "lingshu-7", DATASET, ImportOptions())


def test_ends_of_replies_are_kept_and_one_cut_before_it_answered_names_no_class(
    lake: Lake, tmp_path: Path
) -> None:
    rows = changed(finish_reason="max_tokens", completion_tokens=9, reply="It is benign or")(
        plain_rows(finish_reason="stop")
    )
    imported(lake, lines(tmp_path / "r.jsonl", rows))
    assert list(answered(lake).values()).count(None) == 1
    with tables(lake) as wh:
        found = wh.sql(
            "SELECT finish_reason, n_tokens, count(*) FROM answer GROUP BY ALL ORDER BY ALL"
        ).fetchall()
    assert found == [("length", 9, 1), ("stop", None, 5)]


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ("stop_reason", "max_tokens"),
        ("finishReason", "MAX_TOKENS"),
        ("done_reason", "length"),
        ("finish_reason", "FinishReason.MAX_TOKENS"),
        ("finish_reason", "max_output_tokens"),
    ],
)
def test_every_api_s_word_for_a_reply_that_was_cut_is_known(
    lake: Lake, tmp_path: Path, column: str, said: str
) -> None:
    """Read as whole, it would be benign."""
    rows = changed(**{column: said}, reply="The differential includes benign and")(plain_rows())
    imported(lake, lines(tmp_path / "r.jsonl", rows))
    assert list(answered(lake).values()).count(None) == 1


def test_each_row_says_why_it_ended_in_a_column_of_its_own_api(lake: Lake, tmp_path: Path) -> None:
    cut = changed(reply="The differential includes benign and", stop_reason="max_tokens")
    rows = [{"finish_reason": None, **row} for row in cut(plain_rows())]
    rows[-1]["finish_reason"] = "stop"
    imported(lake, lines(tmp_path / "r.jsonl", rows))
    assert list(answered(lake).values()).count(None) == 1


def test_a_name_of_two_lines_makes_no_second_error(lake: Lake, tmp_path: Path) -> None:
    path = lines(tmp_path / "r.jsonl", changed(sample_id="a\nError: b")(plain_rows()))
    with pytest.raises(LayerhouseError, match=r"^.*first 'a\\nError: b' \(line.*$"):
        imported(lake, path)


def test_a_reason_to_end_that_nobody_knows_is_told(lake: Lake, tmp_path: Path) -> None:
    path = lines(tmp_path / "r.jsonl", changed(finish_reason="tired")(plain_rows()))
    notes = imported(lake, path)
    assert "1 replies ended by 'tired', which is not known; they are read as whole" in notes


def numbered(mark: str, order: list[str]) -> Rows:
    """Options under numbers in the question, in an order; the model answers with one."""
    listed = "\n".join(mark.format(k) + name for k, name in enumerate(order, start=1))
    return [
        {
            "image_path": name,
            "question": f"What is it?\n{listed}",
            "response": str(order.index(TRUTH[of]) + 1) + ("." if n % 2 else ""),
        }
        for n, (name, (_, of)) in enumerate(SAMPLES.items())
    ]


@pytest.mark.parametrize("mark", ["{}. ", "({}) ", "{}) ", "{}: "])
@pytest.mark.parametrize("order", [TRUTH, TRUTH[::-1]])
def test_a_number_is_the_option_that_the_question_listed_under_it(
    lake: Lake, tmp_path: Path, mark: str, order: list[str]
) -> None:
    imported(lake, lines(tmp_path / "replies.jsonl", numbered(mark, order)))
    assert answered(lake) == RIGHT
    (read,) = reparse(lake, MODEL, DATASET)
    assert read.changes == ()
    assert answered(lake) == RIGHT


@pytest.mark.parametrize(
    ("reply", "named"),
    [
        ("Option 2", "malignant"),
        ("Answer: (2)", "malignant"),
        ("**1**", "benign"),
        ("BI-RADS 2", None),
        ("It is of grade II.", None),
        ("BI-RADS 2, benign", "benign"),
        ("The lesion is 2 cm, benign", "benign"),
        ("There are 2 nodules.", None),
    ],
)
def test_a_number_of_something_else_is_no_option(
    lake: Lake, tmp_path: Path, reply: str, named: str | None
) -> None:
    rows = [row | {"response": reply} for row in numbered("{}. ", TRUTH)]
    imported(lake, lines(tmp_path / "replies.jsonl", rows))
    assert set(answered(lake).values()) == {named}


@pytest.mark.parametrize("label", ["1", 2, "1.", "benign"])
def test_options_with_their_numbers_are_known_by_them(
    lake: Lake, tmp_path: Path, label: str | int
) -> None:
    """In a column, too; a label that is one of the numbers is not counted from 0."""
    rows = numbered("{}. ", TRUTH)
    for row, (_, of) in zip(rows, SAMPLES.values(), strict=True):
        del row["question"]
        row["choices"] = ["1. benign", "2. malignant"]
        row["answer"] = TRUTH[of] if label == "benign" else of + 1 if label == 2 else f"{of + 1}"
    imported(lake, lines(tmp_path / "replies.jsonl", rows))
    assert answered(lake) == RIGHT


def test_numbers_that_nothing_tells_are_still_refused(lake: Lake, tmp_path: Path) -> None:
    rows = numbered("{}. ", TRUTH)
    for row in rows:
        row["question"] = "What is it? benign or malignant?"
    with pytest.raises(LayerhouseError, match=r"are numbers.*--column question=…"):
        imported(lake, lines(tmp_path / "replies.jsonl", rows))


def test_a_step_of_a_scale_is_no_label_of_a_listed_option() -> None:
    """The labels are numbers too, and the question listed the classes under others."""
    said = [ClassRow(0, "0", "benign"), ClassRow(1, "1", "malignant")]
    options = ["1. benign", "2. malignant"]
    replies = {"grade 1": None, "Stage 1: benign": 0, "2": 1, "malignant": 1}
    assert {reply: named_class(reply, said, options) for reply in replies} == replies


def test_classes_that_are_numbers_are_named_by_them(tmp_path: Path) -> None:
    """Grades from 0 on: a reply that is one names it, whatever place it has."""
    lake = answers_lake(tmp_path / "lake", phrases=("0", "1"))
    rows = [{"sample_id": name, "reply": of} for name, (_, of) in SAMPLES.items()]
    imported(lake, lines(tmp_path / "replies.jsonl", rows))
    assert answered(lake) == {name: str(of) for name, (_, of) in SAMPLES.items()}
