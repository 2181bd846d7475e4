"""What the explorer's pages say is what the lake says, and their SQL gives it again."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import duckdb
import numpy as np
import pytest
from PIL import Image

from analysis.comparison import compare_all
from analysis.diagnosis import diagnose
from layerhouse.cli import main
from layerhouse.explore import ExploredFile, ExploredLake
from tests.analysis.report_lake import DATASET, HEALTHY, report_lake
from tests.conftest import Demo
from tests.lakes import Signals, synthetic_lake, write_answers_alone
from tests.layerhouse.explore.visitor import Answer, Visitor, words
from tests.said_commands import said_commands
from warehouse.catalogue import connect
from warehouse.images import open_image
from warehouse.lake.lake import Lake
from warehouse.lake.runs import RunSpec, RunWriter
from warehouse.publishing import open_published, publish

FAULTY = "tiny-digits+fault:swap@connector:0.5"
PAIR = {"model": FAULTY, "dataset": "digits"}
PATCH = "run layerhouse patch --model tiny-digits --fault swap@connector:0.5 --dataset digits"
LOST = "SELECT min(sample_id) FROM mart_sample_outcomes WHERE model_id = $1 AND lost_at = $2"


@pytest.fixture(scope="module")
def lost(demo: Demo) -> str:
    """A sample that the faulty model loses in its connector."""
    with connect(demo.lake) as wh:
        ((sample,),) = wh.sql(LOST, [FAULTY, "connector"]).fetchall()
    return str(sample)


def test_the_first_page_has_a_cell_for_every_model_on_every_dataset(visitor, demo):
    page = visitor.get("/")
    assert page.status == 200
    with connect(demo.lake) as wh:
        rows = wh.sql("SELECT model_id, verdict, answer_accuracy FROM mart_leaderboard").fetchall()
    assert len(rows) == 2
    for model, verdict, accuracy in rows:
        cell = page.text[page.text.index(f'aria-label="{model} on digits') :].split("</td>")[0]
        assert verdict.replace("_", " ") in cell
        assert f"{100 * accuracy:.1f}%" in cell


@pytest.fixture(scope="module")
def page(visitor: Visitor) -> Answer:
    """The page of the faulty model."""
    return visitor.get("/model", **PAIR)


def test_the_model_s_page_draws_its_curve_with_points_that_say_what_they_are(page, demo):
    said = words(page.text)
    with connect(demo.lake) as wh:
        points = wh.sql(
            "SELECT module, layer, readout, test_accuracy FROM mart_signal_flow "
            "WHERE model_id = $1 AND probe_kind = 'linear'",
            [FAULTY],
        ).fetchall()
    assert len(points) > 10
    for module, layer, readout, accuracy in points:
        point = f"<title>{module} {layer}, {readout}: {100 * accuracy:.1f}% ("
        assert page.text.count(point) == 2, "once in the wide drawing, once in the narrow one"
    assert "connector fidelity" in said
    assert f"nothing was patched between images: {PATCH}" in said
    assert said_commands(page.text)
    assert "<h1>tiny-digits<wbr>+fault:swap<wbr>@connector:0.5 on " in page.text
    assert "The model answers 53% of the test images right" in said


def test_outcomes_are_counted_per_model_and_lead_to_their_samples(visitor, page, demo):
    with connect(demo.lake) as wh:
        counted = wh.sql(
            "SELECT coalesce(lost_at, 'right'), count(*) FROM mart_sample_outcomes "
            "WHERE model_id = $1 GROUP BY ALL",
            [FAULTY],
        ).fetchall()
    assert len(counted) > 2
    for outcome, n in counted:
        assert f"outcome={outcome}" in page.text
        assert f"{n} samples" in words(visitor.get("/samples", outcome=outcome, **PAIR).text)


@pytest.mark.parametrize(
    ("given", "condition"),
    [
        ({}, "TRUE"),
        ({"outcome": "lost"}, "NOT answer_knows"),
        ({"outcome": "connector", "label": 3}, "lost_at = 'connector' AND class_index = 3"),
        ({"answer": 5}, "predicted_class_index = 5 AND answer_parsed"),
        ({"answer": -1}, "NOT answer_parsed"),
        (
            {"with_": "tiny-digits", "differs": 1},
            "predicted_class_index <> (SELECT o.predicted_class_index "
            "FROM mart_sample_outcomes AS o "
            "WHERE o.model_id = 'tiny-digits' AND o.sample_id = m.sample_id)",
        ),
    ],
)
def test_filters_leave_the_samples_that_sql_leaves(visitor, demo, given, condition):
    page = visitor.get("/samples", **PAIR, **given)
    with connect(demo.lake) as wh:
        counted = "SELECT count(*) FROM mart_sample_outcomes AS m WHERE model_id = $1 AND "
        ((n,),) = wh.sql(counted + condition, [FAULTY]).fetchall()
    assert f"{n} sample" in words(page.text)
    assert page.text.count('class="truth"') == min(n, 48)


def test_pages_of_samples_follow_one_another_without_a_gap(visitor, demo):
    seen: list[str] = []
    for number in (1, 2, 3):
        found = re.findall(
            r"<code>(digits/\d+)</code>", visitor.get("/samples", page=number, **PAIR).text
        )
        seen += found
    with connect(demo.lake) as wh:
        rows = wh.sql(
            "SELECT sample_id FROM mart_sample_outcomes WHERE model_id = $1 ORDER BY ALL", [FAULTY]
        ).fetchall()
    assert seen == [name for (name,) in rows][: 3 * 48]


def test_a_sample_s_page_tells_of_two_models_side_by_side(visitor, demo, lost):
    page = visitor.get("/sample", sample=lost, with_="tiny-digits", **PAIR)
    said = words(page.text)
    assert page.text.count('<section class="told"') == 2
    assert "lost at connector" in said
    with connect(demo.lake) as wh:
        ((reply, label),) = wh.sql(
            "SELECT answer_text, label FROM mart_sample_outcomes "
            "WHERE model_id = $1 AND sample_id = $2",
            [FAULTY, lost],
        ).fetchall()
        near = wh.sql(
            "SELECT sample_id FROM nearest($1, 'digits', 'vision', 2, 'mean', $2, k := 12)",
            [FAULTY, lost],
        ).fetchall()
    assert re.search(rf'<q class="reply"> *{reply}</q>', page.text)
    assert f"Label {label}" in said
    assert "vision knew it" in said
    chosen = visitor.get("/sample", sample=lost, place="vision.2/mean", **PAIR).text
    shown = re.findall(r"<code>(digits/\d+)</code>", chosen)
    assert shown == [name for (name,) in near]


@pytest.mark.slow
def test_the_projection_has_a_point_for_every_sample_of_the_place(visitor, demo):
    page = visitor.get("/projection", place="connector.0/mean", colour="answer", **PAIR)
    said = words(page.text)
    assert "first two principal components" in said
    assert "1,797 samples" in said
    wide = page.text.split('<svg class="narrow"')[0]
    with connect(demo.lake) as wh:
        rows = wh.sql("SELECT sample_id FROM sample").fetchall()
        assert wh.sql(page.queries["vectors"]).columns == ["sample_id", "label", "split", "vector"]
    assert set(re.findall(r'data-key="([^"]*)"', wide)) == {name for (name,) in rows}
    assert 'data-opens="/sample?place=connector.0%2Fmean' in page.text


def test_pictures_say_that_a_model_was_shown_others(tmp_path: Path):
    dim = "tiny+adapter:a+fault:swap@llm:0.5+fault:lowres@vision:4"
    signals = Signals(seeds=1, methods=("generate",))
    lake = synthetic_lake(tmp_path / "lake", {"tiny": signals, dim: signals}, n_samples=80)
    visitor = Visitor(ExploredLake(lake))
    for path, sample in (("/sample", {"sample": "image-00001"}), ("/samples", {})):
        pages = {
            (model, other): words(
                visitor.get(path, model=model, dataset="shapes", with_=other, **sample).text
            )
            for model, other in (("tiny", ""), ("tiny", dim), (dim, ""))
        }
        told = [page.count("was shown them after lowres@vision:4 .") for page in pages.values()]
        assert told == [0, 1, 1], path


def test_a_sample_that_is_not_scored_has_a_page_too(visitor, demo):
    with connect(demo.lake) as wh:
        ((sample,),) = wh.sql("SELECT min(sample_id) FROM sample WHERE split = 'train'").fetchall()
    said = words(visitor.get("/sample", sample=sample, **PAIR).text)
    assert "not scored" in said
    assert "Neighbours" in said


def test_a_picture_is_what_the_model_is_shown(visitor, demo, lost):
    got = visitor.get("/picture", dataset="digits", sample=lost)
    assert got.headers["content-type"] == "image/png"
    shown = Image.open(BytesIO(got.body))
    with connect(demo.lake) as wh:
        ((uri,),) = wh.sql("SELECT uri FROM sample WHERE sample_id = $1", [lost]).fetchall()
    own = open_image(uri)
    assert shown.size == (256, 256)
    assert shown.resize(own.size, Image.Resampling.NEAREST).tobytes() == own.tobytes()


def test_dicom_is_shown_in_the_frame_the_shades_and_the_colours_that_the_model_sees(tmp_path):
    """Left is white, red or the second frame's, right is black: the uris say how to open each."""
    pytest.importorskip("pydicom", reason="the extra layerhouse[dicom] is not installed")
    from tests.warehouse.images.dicom_files import dicom, write

    left = np.zeros((80, 80), np.uint8)
    left[:, :40] = 255
    red = np.stack([left, 0 * left, 0 * left], axis=-1)
    objects = {
        "negative": dicom(4095 - 16 * left.astype(np.uint16), "MONOCHROME1", BitsStored=12),
        "frames": dicom(np.stack([255 - left, left, 255 - left])),
        "colour": dicom(red, "RGB"),
    }
    lake = Lake.at(tmp_path / "lake")
    folder = tmp_path / "images"
    for name, item in objects.items():
        write(folder / "it's <b>100%</b>" / f"{name}.dcm", item)
    add = ["datasets", "add", "scans", str(folder), "--lake", str(lake.root), "--frame", "middle"]
    with pytest.raises(SystemExit) as ended:
        main([*add, "--unlabelled"])
    assert not ended.value.code
    visitor = Visitor(ExploredLake(lake))
    with connect(lake) as wh:
        known = dict(wh.sql("SELECT sample_id, uri FROM sample").fetchall())
    assert len(known) == 3
    for sample, uri in known.items():
        got = visitor.get("/picture", dataset="scans", sample=sample)
        assert got.headers["content-type"] == "image/png"
        shown = np.asarray(Image.open(BytesIO(got.body)))
        np.testing.assert_array_equal(shown, np.asarray(open_image(uri)))
        bright = (255, 0, 0) if "colour" in sample else (255, 255, 255)
        np.testing.assert_allclose(shown[5, 5], bright, atol=17)
        assert tuple(shown[5, 75]) == (0, 0, 0)


def test_the_sql_of_a_page_can_be_pasted(visitor, page, demo, lost):
    given = {**PAIR, "sample": lost, "with_": "tiny-digits"}
    others = [visitor.get(path, **given) for path in ("/", "/samples", "/sample")]
    with connect(demo.lake) as wh:
        for shown in (page, *others):
            assert shown.queries
            for name, query in shown.queries.items():
                assert "$" not in query
                assert wh.sql(query).columns, name


def test_a_published_file_shows_the_same_numbers_and_says_what_it_lacks(
    visitor, page, published, lost
):
    file = Visitor(ExploredFile(published / "marts.duckdb"))
    assert words(file.get("/").text) == words(visitor.get("/").text)
    there = file.get("/model", **PAIR)
    ours, theirs = page.text, there.text
    points = [re.findall(r"<title>(\w+ \d+, \w+: .*?)</title>", text) for text in (ours, theirs)]
    assert points[0] == points[1]
    assert len(points[0]) > 20
    for part in ('id="outcomes"', 'class="strip"'):
        own, other = (text[text.index(part) :].split("</section>")[0] for text in (ours, theirs))
        assert own.split("</ol>")[0] == other.split("</ol>")[0]
    assert card(ours) == card(theirs)
    assert "The model answers 53% of the test images right" in card(theirs)
    assert "nothing was patched" in words(theirs)
    assert "layerhouse patch" not in words(theirs)
    sample = words(file.get("/sample", sample=lost, **PAIR).text)
    assert "holds no images unless it was written with --patients" in sample
    assert "holds no activations" in sample
    assert "lost at connector" in sample
    assert "holds no activations" in words(file.get("/projection", **PAIR).text)
    with open_published(published / "marts.duckdb") as con:
        others = [file.get(path, sample=lost, **PAIR) for path in ("/", "/samples", "/sample")]
        for shown in (there, *others):
            assert shown.queries
            for query in shown.queries.values():
                assert con.sql(query).columns


def card(page: str) -> str:
    """What the verdict's card on a model's page says."""
    inside = page[page.index('<div class="card') : page.index('<ul class="ways">')]
    return " ".join(re.sub(r"<[^>]*>", " ", inside).split())


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Beside a lake its publication: `tiny` was patched and mended, and its untrained twin read."""
    place = tmp_path_factory.mktemp("small")
    lost = Signals.losing(connector=0.4)
    models = {
        "tiny": lost,
        "tiny+random:0": Signals(0.5, 0.5, 0.5, 0.3),
        "tiny+mend:connector/lora": Signals(),
    }
    models = {name: replace(signals, seeds=1) for name, signals in models.items()}
    lake = synthetic_lake(place / "lake", models, n_samples=120)
    names = {"model_id": "tiny", "dataset_id": "shapes"}
    patches = [
        {
            **names,
            "donor_model_id": "tiny",
            "sample_id": f"image-{i:05d}",
            "donor_id": "image-00001",
        }
        | {"module": "llm", "layer": layer, "tokens": tokens, "control": control}
        | {"ends_stage": False, "target_class_index": 1, "donor_class_index": 1}
        | {"own_class_index": 0, "predicted_class_index": int(i % 8 == 1 and control == "none")}
        | {"target_shift": 0.5, "label_shift": -0.5}
        for layer in (0, 1)
        for tokens in ("image", "last")
        for control in ("none", "noise")
        for i in range(1, 120, 4)
    ]
    mended = {
        **{**names, "model_id": "tiny+mend:connector/lora"},
        **{"base_model_id": "tiny", "stage": "connector", "repair": "lora", "control": "none"},
        **{"n_parameters": 8256, "seconds": 12.0, "val_score_before": 0.5, "val_score": 0.9},
        **{"score": "accuracy", "n_train": 60, "n_epochs": 3, "best_epoch": 2},
        **{"val_loss_before": 2.0, "val_loss": 1.0},
    }
    tables = {
        "patch": ("tiny", "patch_effect", patches),
        "mend": (mended["model_id"], "mend", [mended]),
    }
    for command, (model_id, table, rows) in tables.items():
        with RunWriter(lake, RunSpec(command, str(model_id), "shapes", {})) as writer:
            writer.commit({table: rows})
            writer.finish()
    diagnose(lake, "tiny", "shapes", n_resamples=100)
    compare_all(lake, n_resamples=100)
    publish(lake, place / "marts.duckdb")
    return place


SMALL = {"model": "tiny", "dataset": "shapes"}


def test_a_published_file_tells_verdict_and_causal_curve_as_the_lake_does(small: Path):
    lake = Visitor(ExploredLake(Lake.at(small / "lake")))
    file = Visitor(ExploredFile(small / "marts.duckdb"))
    for model in ("tiny", "tiny+random:0"):
        given = {"model": model, "dataset": "shapes"}
        ours, theirs = (words(each.get("/model", **given).text) for each in (lake, file))
        # No mart holds vectors, and no command adds to a file.
        ours = re.sub(
            " Its vectors on a plane|: run layerhouse patch .*? --dataset shapes", "", ours
        )
        told = theirs.split("Samples by outcome")[0]
        assert ours.split("Samples by outcome")[0] == told
        if model == "tiny":
            assert "The causal curve in numbers" in told
            assert "mended by connector/lora" in told
            assert "can be read in an untrained network of the same architecture too" in told
        else:
            assert "Its weights are random" in told
            assert "nothing was patched" in told


def test_a_file_of_an_older_version_shows_all_but_the_words_and_the_causal_curve(small, tmp_path):
    path = tmp_path / "old.duckdb"
    shutil.copy(small / "marts.duckdb", path)
    new = ("total_loss_lower", "total_loss_upper", "best_baseline", "baseline_accuracy")
    new += ("random_accuracy", "is_untrained", "is_fitted_otherwise", "n_left_out")
    with duckdb.connect(str(path)) as con:
        con.execute("DROP TABLE mart_causal_flow; DROP TABLE mart_repairs")
        for column in new:
            con.execute(f"ALTER TABLE mart_leaderboard DROP COLUMN {column}")
    page = Visitor(ExploredFile(path)).get("/model", **SMALL)
    assert page.status == 200
    assert "connector fidelity" in card(page.text)
    assert "An older Layerhouse wrote this file" in card(page.text)
    assert "wrote this file, without patches: publish it again" in page.text


@pytest.mark.parametrize("lacking", [("mart_causal_flow", "control_n"), ("mart_evidence", "tried")])
def test_a_file_without_a_column_of_today_is_of_an_older_version(small, tmp_path, lacking):
    path = tmp_path / "old.duckdb"
    shutil.copy(small / "marts.duckdb", path)
    with duckdb.connect(str(path)) as con:
        con.execute(f"ALTER TABLE {lacking[0]} DROP COLUMN {lacking[1]}")
    page = Visitor(ExploredFile(path)).get("/model", **SMALL)
    assert page.status == 200
    assert "An older Layerhouse wrote this file" in card(page.text)


@pytest.mark.slow
def test_a_file_with_patients_shows_its_images(demo, tmp_path, lost):
    publish(demo.lake, tmp_path / "full.duckdb", patients=True)
    file = Visitor(ExploredFile(tmp_path / "full.duckdb"))
    got = file.get("/picture", dataset="digits", sample=lost)
    assert got.headers["content-type"] == "image/png"


@pytest.mark.slow
def test_what_is_committed_meanwhile_is_on_the_next_page(tmp_path: Path):
    lake = synthetic_lake(tmp_path / "lake", {"one": Signals()}, n_samples=80)
    visitor = Visitor(ExploredLake(lake))
    assert "1 model on 1 dataset" in words(visitor.get("/").text)
    synthetic_lake(lake.root, {"two": Signals()}, dataset_id="more", n_samples=80)
    assert "2 models on 2 datasets" in words(visitor.get("/").text)


def test_states_that_nobody_probed_are_named_with_what_reads_them(tmp_path: Path):
    """Of a model that cannot be run here, and of images without labels, which nothing reads."""
    place = tmp_path / "lake"
    lake = synthetic_lake(place, {"one": Signals(seeds=1)}, n_samples=40)
    runs = {("import", "it's friend", "shapes"), ("extract", "one", "shapes")}
    for command, model_id, dataset_id in {*runs, ("extract", "one", "unlabelled")}:
        with RunWriter(lake, RunSpec(command, model_id, dataset_id, {"states": "a"})) as writer:
            writer.finish()
    page = Visitor(ExploredLake(lake)).get("/").text
    assert re.findall(r"<code>(layerhouse probe .*?)</code>", page) == [
        "layerhouse probe --model &#39;it&#39;&#34;&#39;&#34;&#39;s friend&#39; --dataset shapes"
    ]


def test_an_empty_lake_says_what_to_run(tmp_path: Path):
    (tmp_path / "lakehouse").mkdir()
    said = Visitor(ExploredLake(Lake.at(tmp_path / "lakehouse"))).get("/").text
    assert "<code>layerhouse status</code> says what to run" in said


@pytest.mark.slow
def test_a_sample_with_image_tokens_shows_where_its_class_is_read(tmp_path: Path):
    visitor = Visitor(ExploredLake(report_lake(tmp_path / "lake")))
    given = {"model": HEALTHY, "dataset": DATASET}
    page = visitor.get("/sample", sample="image-00001", **given)
    assert re.findall(r'aria-label="Evidence at ([^:]*): most in row \d', page.text) == [
        "vision 4",
        "connector 0",
    ]
    causal = visitor.get("/model", **given).text
    assert "The causal curve in numbers" in causal
    assert re.search(r"<title>vision \d, image tokens: [\d.]+% turn", causal)


def test_a_model_of_which_only_answers_are_known_is_not_sent_to_probe_or_patch(tmp_path):
    lake = synthetic_lake(
        tmp_path / "lake", {"tiny": Signals(methods=("generate",), seeds=1)}, n_samples=120
    )
    write_answers_alone(lake, "generate")
    page = Visitor(ExploredLake(lake)).get("/model", model="api", dataset="shapes").text
    shown = page.split("<h2")[0]
    assert shown.count("no layer of this model is known") == 4
    for command in ("probe", "patch", "extract"):
        assert f"<code>layerhouse {command}" not in shown
    assert "/projection" not in shown
    given = {"model": "api", "dataset": "shapes", "sample": "image-00001"}
    for path in ("/sample", "/projection"):
        said = words(Visitor(ExploredLake(lake)).get(path, **given).text)
        assert "No layer of api is known" in said
        assert "layerhouse probe" not in said


def test_a_model_whose_states_were_brought_is_not_sent_to_patch(tmp_path):
    lake = synthetic_lake(tmp_path / "lake", {"tiny": Signals(methods=(), seeds=1)}, n_samples=80)
    with RunWriter(lake, RunSpec("import", "tiny", "shapes", {"states": "a"})) as writer:
        writer.finish()
    page = Visitor(ExploredLake(lake)).get("/model", model="tiny", dataset="shapes").text
    shown = page.split('<details class="asked">')[0]
    assert "the states of this model were brought from elsewhere" in shown
    assert "<code>layerhouse answers import FILE --model tiny --dataset shapes</code>" in shown
    for command in ("patch", "extract", "mend", "steer"):
        assert f"<code>layerhouse {command}" not in shown
