"""What is drawn is what the SQL beside it says: marks are measured in the finished drawings."""

from __future__ import annotations

import re
from html import unescape
from itertools import pairwise
from urllib.parse import unquote
from xml.etree import ElementTree

import numpy as np
import pytest

from analysis.report import read_pages
from analysis.report.figures.signal_curve import signal_curve
from tests.analysis.report_lake import FAULTY, HEALTHY, LLM_LAYERS
from tests.lakes import Signals, rest_on, synthetic_lake
from tests.said_commands import said_commands
from warehouse.catalogue.refreshing import connect

WIDTH_OF_A_PIXEL = 0.05


@pytest.fixture(scope="module")
def figures(figure_lake, figure_report):
    """{title: (marks of the wide drawing, rows of the first SQL beside it)}."""
    text = figure_report.read_text("utf-8")
    found = {}
    with connect(figure_lake) as wh:
        for figure in re.findall(r"<figure[ >].*?</figure>", text, re.DOTALL):
            drawing = re.search(r"<svg.*?</svg>", figure, re.DOTALL)
            if drawing:
                tree = ElementTree.fromstring(drawing[0])
                query = unescape(
                    re.search(r"<code>(?!layerhouse)(.*?)</code>", figure, re.DOTALL)[1]
                )
                found[tree[0].text] = marks(tree), wh.sql(query).pl().to_dicts()
    return found


def marks(tree):
    """{name: its points [(x, y)] in pixels}; of a bar or cell its four corners."""
    return {
        unquote(group.get("data-mark")): points(group)
        for group in tree.iter()
        if group.get("data-mark") is not None
    }


def points(group):
    uses = [(float(u.get("x")), float(u.get("y"))) for u in group.iter() if u.tag.endswith("use")]
    if uses:
        return uses
    (path,) = [p for p in group.iter() if p.tag.endswith("path") and p.get("d")][:1]
    numbers = [float(n) for n in re.findall(r"-?\d+\.?\d*", path.get("d"))]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def assert_in_scale(drawn, values):
    """One scale fits all: pixels are an affine function of the values, to a fraction of a pixel."""
    drawn, values = np.array(drawn), np.array(values)
    assert len(drawn) == len(values) >= 3
    assert np.ptp(values) > 0
    slope, offset = np.polyfit(values, drawn, 1)
    assert np.abs(slope * values + offset - drawn).max() < WIDTH_OF_A_PIXEL


def width(bar):
    xs = [x for x, _ in bar]
    return max(xs) - min(xs)


def test_the_overview_s_bars_are_as_long_as_the_answers_and_losses(figures):
    drawn, rows = figures["What the models answer on shapes and where the rest is lost"]
    path = ("reference", "vision", "connector", "llm", "answer")
    lengths, values = [], []
    for row in rows:
        expected = {
            stage: row[f"{before}_accuracy"] - row[f"{stage}_accuracy"]
            for before, stage in pairwise(path)
        } | {"kept": row["answer_accuracy"]}
        for role, value in expected.items():
            lengths.append(width(drawn[f"{row['model_id']}:{role}"]))
            values.append(value)
    assert len(values) == 10
    assert_in_scale(lengths, values)


def test_the_curves_go_through_the_accuracies(figures):
    drawn, rows = figures[f"Signal curve of {HEALTHY} on shapes"]
    heights, values = [], []
    for readout in ("mean", "last", "grid", "cls"):
        accuracies = [row["test_accuracy"] for row in rows if row["readout"] == readout]
        heights += [y for _, y in drawn[readout]]
        values += accuracies
    assert_in_scale(heights, values)


def test_the_answer_s_bar_is_the_interval_of_the_score_that_the_dataset_rests_on(tmp_path):
    lake = synthetic_lake(tmp_path / "lake", {"tiny": Signals(answer=0.6)}, n_samples=120)
    rest_on(lake, "balanced_accuracy")
    with connect(lake) as wh:
        ((page,),) = (one.models for one in read_pages(wh, [("tiny", "shapes")], 0).datasets)
        answers = wh.sql("FROM answer_accuracy WHERE split = 'test' AND method = 'generate'")
        answer = answers.pl().row(0, named=True)
    drawing = re.search(r"<svg.*?</svg>", signal_curve(page).__html__(), re.DOTALL)[0]
    drawn = marks(ElementTree.fromstring(drawing))
    curve = [row["test_accuracy"] for row in page.curve.rows if row["readout"] == "mean"]
    bounds = [answer["score_lower"], answer["score_upper"]]
    assert (
        min(abs(answer["wilson_lower"] - bounds[0]), abs(answer["wilson_upper"] - bounds[1])) > 0.01
    )
    bar = sorted((y for _, y in drawn["answer-interval"]), reverse=True)
    assert_in_scale([y for _, y in drawn["mean"]] + bar, curve + bounds)


def test_the_waterfall_s_steps_are_as_long_as_the_losses(figures):
    drawn, rows = figures[f"Loss waterfall of {FAULTY} on shapes"]
    names = {"vision": "vision tower", "connector": "connector", "llm": "language model"}
    steps = {
        names.get(row["stage"], "answer mapping"): row["loss"] for row in rows if row["loss"] > 0.01
    } | {"answer": rows[-1]["accuracy_after"]}
    assert_in_scale([width(drawn[name]) for name in steps], list(steps.values()))


def test_the_profile_s_marks_stand_at_the_scores(figures):
    drawn, rows = figures[f"Health profile of {HEALTHY} on shapes"]
    heights = [drawn[f"{row['module']}:{row['track']}"][0][1] for row in rows]
    assert_in_scale(heights, [row["health_score"] for row in rows])


def test_every_count_has_its_cell(figures):
    drawn, rows = figures[f"Confusion matrices of {FAULTY} on shapes"]
    silent = 4
    expected = {
        f"{row['comparison']}:{row['row_class_index']}:"
        f"{silent if row['column_class_index'] is None else row['column_class_index']}:{row['n']}"
        for row in rows
    }
    assert set(drawn) == expected
    assert any(row["column_class_index"] is None for row in rows)
    for comparison in ("label_probe", "label_answer", "probe_answer"):
        cells = {name.split(":")[2]: cell for name, cell in drawn.items() if comparison in name}
        centres = [np.mean([x for x, _ in cell]) for cell in cells.values()]
        assert_in_scale(centres, [int(column) for column in cells])


def test_pairs_stand_at_their_differences(figures):
    drawn, rows = figures["Differences between models on shapes"]
    accuracies = [row for row in rows if row["quantity"] == "accuracy"]
    assert_in_scale(
        [
            drawn[f"difference:{r['model_id']}:{r['base_model_id']}:{r['stage']}"][0][0]
            for r in accuracies
        ],
        [row["difference"] for row in accuracies],
    )


def test_the_lens_and_the_probe_share_a_scale(figures):
    drawn, rows = figures[f"Logit lens of {HEALTHY} on shapes"]
    assert len(rows) == 6
    assert_in_scale(
        [y for name in ("lens", "probe") for _, y in drawn[name]],
        [row[name] for name in ("accuracy", "probe_accuracy") for row in rows],
    )


def test_nuisances_and_the_class_share_a_scale(figures):
    drawn, rows = figures[f"Nuisances of {HEALTHY} on shapes"]
    assert [row["signal"] for row in rows] == [(49 - 7 * place) / 50 for place in range(6)]
    assert_in_scale(
        [y for name in ("the class", "view") for _, y in drawn[name]],
        [row[name] for name in ("class_signal", "signal") for row in rows],
    )


def test_patches_of_all_tokens_share_a_scale(figures):
    drawn, rows = figures[f"Causal curve of {HEALTHY} on shapes"]
    assert [(row["tokens"], row["turned_share"]) for row in rows] == [
        *(("image", share) for share in (0.9, 0.85, 0.6, 0.2)),
        *(("last", share) for share in (0.3, 0.8)),
    ]
    control = [row["control_share"] for row in rows if row["module"] != "llm"]
    control += [row["control_share"] for row in rows if row["tokens"] == "last"]
    assert_in_scale(
        [y for name in ("image", "last", "control") for _, y in drawn[name]],
        [*(row["turned_share"] for row in rows), *control],
    )


def test_what_comes_back_stands_beside_what_is_lost(figure_report):
    text = re.sub(r"<[^>]+>", "", figure_report.read_text("utf-8"))
    assert "tiny40.0%vision0.0% 0.0 to 0.0" in text
    assert "tiny40.0%connector87.5%" in text


def test_the_story_goes_as_far_as_what_was_measured(figure_report):
    """Of the faulty model patches are there, and of the healthy one nothing but probes."""
    text = re.sub(r"<[^>]+>", "", figure_report.read_text("utf-8"))
    faulty = text[text.index("From where to why") :]
    assert "points to the" not in faulty
    assert "Patching confirms that it is the connector: of what tiny answers better, " in faulty
    way_out = (
        "Cure (mending) of the connector is not measured: repairs are trained on whole weights"
    )
    assert way_out in faulty
    assert "caused in" in faulty
    assert text.count("From where to why, and to the cure") == 2


def test_every_command_that_a_reader_is_told_runs_as_it_is_told(figure_report):
    assert "extract" in {words[0] for words in said_commands(figure_report.read_text("utf-8"))}


def test_read_answered_and_owned_stand_side_by_side(figure_report):
    text = re.sub(r"<[^>]+>", "", figure_report.read_text("utf-8"))
    last = f"llm {LLM_LAYERS - 1}, last, 0.5"
    assert re.search(rf"meansyesyesyes4\.50 4\.50 to 4\.501\.000\.010100\.0%{last}", text)
    assert re.search(rf"meansyesyesno0\.25 0\.25 to 0\.251\.000\.\d+100\.0%{last}", text)


def test_every_class_and_place_that_was_written_has_its_cell(figures):
    drawn, rows = figures[f"Classes owned by {HEALTHY} on shapes"]
    cells = {
        f"written:{row['class_index']}:{row['depth']}:{('within', 'beyond')[row['is_beyond']]}"
        for row in rows
    }
    assert {name for name in drawn if name.startswith("written")} == cells
    assert [row["is_beyond"] for row in rows] == [True, False]
    assert {"owned:0:yes", "owned:1:no", "read:0:yes"} <= set(drawn)


def test_the_border_and_what_an_attribute_tells_alone_are_in_the_tables(figure_report):
    text = re.sub(r"<[^>]+>", "", figure_report.read_text("utf-8"))
    assert "41.0% 36.0 to 46.0, chance 25.0%vision 2" in text
    assert "mean40052.0% 49.0 to 55.02.5%83.0% 80.0 to 86.064.0% 61.0 to 67.0" in text


def test_the_self_test_counts_costly_trials_and_healthy_ones_for_both_readings(figures):
    drawn, rows = figures[f"Self-test of the diagnosis on {HEALTHY} and shapes"]
    assert len(drawn) == len(rows)
    counts = {(r["reading"], r["injected"], r["verdict"]): r["n"] for r in rows}
    assert counts["diagnosis", "connector", "connector_fidelity"] == 4
    assert counts["mean_pooled", "connector", "vision_quality"] == 4
    assert counts["diagnosis", "none", "healthy"] == 3
    assert sum(n for (reading, *_), n in counts.items() if reading == "diagnosis") == 4 * 4 + 3
    assert {name.rsplit(":", 1)[0] for name in drawn} >= {"diagnosis:1:1", "mean_pooled:1:0"}


def test_prompts_stand_at_their_accuracies(figures):
    drawn, rows = figures[f"Prompts of {HEALTHY} on shapes"]
    given = [row for row in rows if row["option_order"] == "given"]
    assert [row["prompt_id"] for row in given] == ["clinical", "default", "plain"]
    assert [row["is_understood"] for row in given] == [False, True, True]
    turned = next(row for row in rows if row["option_order"] != "given")
    assert_in_scale(
        [drawn[row["prompt_id"]][0][0] for row in given] + [drawn["orders:plain"][0][0]],
        [row["accuracy"] for row in (*given, turned)],
    )


def test_what_the_answer_is_without_the_image_stands_below_it(figures, answered):
    drawn, _ = figures[f"Loss waterfall of {HEALTHY} on shapes"]
    alone, answer = ([x for x, _ in drawn[name]] for name in ("without the image", "answer"))
    expected = (answered["blank"] == answered["label"]).mean()
    expected /= (answered["own"] == answered["label"]).mean()
    assert np.ptp(alone) == pytest.approx(expected * np.ptp(answer), abs=WIDTH_OF_A_PIXEL)


def test_whether_the_model_looked_is_said_in_the_numbers_of_its_answers(figure_report, answered):
    label, own, blank, other, donor = (
        answered[name].to_numpy() for name in ("label", "own", "blank", "other", "donor")
    )
    page = re.sub(r"\s+", " ", re.sub("<.*?>", "", figure_report.read_text("utf-8")))
    gain = (own == label).mean() - (blank == label).mean()
    assert (
        f"Did it look? With a grey image {(blank == label).mean():.1%} of the answers are right, "
        f"so {gain:.1%} are owed to the image. When an image of another class is shown, "
        f"{(other == own).mean():.1%} of the answers stay and {(other == donor).mean():.1%} are "
        "its class."
    ) in page


@pytest.fixture(scope="module")
def answered(figure_lake):
    """What the healthy model answered about each test image and its controls, of the tables."""
    with connect(figure_lake) as wh:
        rows = wh.sql(
            "SELECT sample_id, image_control, predicted_class_index AS said FROM answer "
            f"WHERE model_id = '{HEALTHY}' AND dataset_id = 'shapes' AND prompt_id = 'default' "
            "AND method = 'generate' AND option_order = 'given' AND parsed"
        ).pl()
        samples = wh.sql("SELECT sample_id, class_index AS label, split FROM sample").pl()
        donors = wh.sql("SELECT sample_id, donor_id FROM image_donor").pl()
    shown = donors.join(samples, left_on="donor_id", right_on="sample_id")
    shown = shown.select("sample_id", donor="label")
    said = rows.pivot("image_control", index="sample_id", values="said")
    wide = samples.filter(split="test").join(said, on="sample_id").join(shown, on="sample_id")
    assert len(wide) == 100
    return wide
