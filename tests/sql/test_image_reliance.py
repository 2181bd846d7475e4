"""Whether answers depend on the image: controls in its place, by sample and counted."""

import pytest

from tests.sql.test_prompts import TRUTH, WRONG, asked, lake
from tests.sql.worlds import world


def shown(control, said, method="generate"):
    """The same answers where another image was shown."""
    return [row | {"image_control": control} for row in asked("default", "given", said, method)]


def controlled(*controls, own=TRUTH):
    """Answers about own images and controls; every donor of `other` is of the other class."""
    rows = lake(asked("default", "given", own), *(shown(*each) for each in controls))
    donors = [
        {"dataset_id": "d", "sample_id": f"s{i:02d}", "image_control": "other"}
        | {"donor_id": f"s{(i + 1) % 20:02d}"}
        for i in range(20)
    ]
    return rows | {"image_donor": donors}


@pytest.mark.exact_rows("image_answer")
def test_an_answer_stands_beside_those_about_other_images(catalogue):
    con = catalogue(
        controlled(
            ("blank", [0] * 20),
            ("other", [None, 1, *WRONG[2:]]),
            ("same_class", [0, None, *TRUTH[2:]]),
            own=[None, 1, *TRUTH[2:]],
        )
    )
    rows = con.sql(
        "SELECT is_right, blank_class_index, is_right_blank, other_class_index, changes, follows, "
        "same_class_index, keeps FROM image_answer ORDER BY sample_id LIMIT 3"
    ).fetchall()
    assert rows == [
        (False, 0, True, None, False, False, 0, False),
        (True, 0, False, 1, False, False, None, False),
        (True, 0, True, 1, True, True, 0, True),
    ]


@pytest.mark.exact_rows("image_reliance")
@pytest.mark.parametrize(
    ("other", "stay", "follow", "quadrants", "ignores"),
    [
        (WRONG, 0.0, 1.0, (20, 0, 0, 0), False),
        (TRUTH, 1.0, 0.0, (0, 20, 0, 0), True),
        ([*TRUTH[:10], *WRONG[10:]], 0.5, 0.5, (10, 10, 0, 0), False),
    ],
)
def test_what_is_owed_to_the_image_is_counted(catalogue, other, stay, follow, quadrants, ignores):
    con = catalogue(
        controlled(("blank", [0] * 20), ("other", other), ("same_class", [*WRONG[:5], *TRUTH[5:]]))
    )
    found = con.sql(
        "SELECT method, prompt_id, split, n, accuracy, blank_accuracy, image_gain, n_other, "
        "stay_share, follow_share, n_right_changes, n_right_stays, n_wrong_changes, n_wrong_stays, "
        "keep_share, ignores_image FROM image_reliance"
    ).fetchall()
    assert found == [
        (
            *("generate", "default", "test", 20, 1.0, 0.5, 0.5, 20),
            *(stay, follow, *quadrants, 0.75, ignores),
        )
    ]


def test_without_a_control_there_is_nothing_to_say(catalogue):
    con = catalogue(lake(asked("default", "given", TRUTH)))
    assert con.sql("FROM image_reliance").fetchall() == []
    con = catalogue(controlled(("blank", TRUTH)))
    query = "SELECT blank_accuracy, image_gain, stay_share, ignores_image FROM image_reliance"
    assert con.sql(query).fetchall() == [(1.0, 0.0, None, None)]


def told(answers):
    """A model whose every stage loses nothing, answered otherwise too."""
    ends = {("vision", 1, "mean"): (10, 20), ("connector", 0, "mean"): (10, 20)}
    rows = world({**ends, ("llm", 1, "last"): (10, 20)}, {"generate": (10, 20)})
    own = [row for row in rows["answer"] if row["sample_id"].startswith("test")]
    rows["dataset"] = [{"dataset_id": "d", "title": "D", "n_samples": 30, "n_classes": 2}]
    rows["answer"] += [
        row | change | {"predicted_class_index": said(row["predicted_class_index"], number)}
        for change, said in answers
        for number, row in enumerate(own)
    ]
    return rows


@pytest.mark.exact_rows("asking_effect")
def test_a_verdict_says_that_the_image_is_ignored(catalogue):
    con = catalogue(told([({"image_control": "other"}, lambda said, _: said)]))
    note = (
        "the answer hardly depends on the image: 100% of the answers stay when an image of another "
        "class is shown"
    )
    assert con.sql("SELECT * FROM asking_effect").fetchall() == [
        ("m", "d", None, pytest.approx(0.0), 1.0, True, note)
    ]
    ((said,),) = con.sql("SELECT note FROM verdict_obstacle").fetchall()
    assert note in said


def test_a_verdict_says_where_the_prompt_moves_more_than_any_stage_loses(catalogue):
    worse = lambda said, number: 1 - said if number < 4 else said  # noqa: E731
    con = catalogue(told([({"prompt_id": "plain"}, worse)]))
    ((note,),) = con.sql("SELECT note FROM asking_effect").fetchall()
    assert note == (
        "the choice of prompt moves the answer by 20 points, more than any stage loses: 80% right "
        "under plain, 100% under default"
    )


def test_what_matters_less_than_a_loss_is_left_out(catalogue):
    looks = ({"image_control": "other"}, lambda said, _: 1 - said)
    same = ({"prompt_id": "plain"}, lambda said, _: said)
    con = catalogue(told([looks, same]))
    assert con.sql("SELECT ignores_image, note FROM asking_effect").fetchall() == [(False, None)]


def test_what_another_prompt_does_without_the_image_is_not_said_of_the_verdict_s(catalogue):
    same = lambda said, _: said  # noqa: E731
    plain = {"prompt_id": "plain"}
    con = catalogue(told([(plain, same), (plain | {"image_control": "other"}, same)]))
    ignored = con.sql("SELECT prompt_id, ignores_image FROM image_reliance").fetchall()
    assert ignored == [("plain", True)]
    assert con.sql("SELECT ignores_image, note FROM asking_effect").fetchall() == [(False, None)]
