"""Class names that replies could not tell apart are refused, and close ones are warned of."""

from __future__ import annotations

import unicodedata

import pytest

from extract.datasets.labels import class_rows, label_warnings
from warehouse.errors import LayerhouseError


@pytest.mark.parametrize(
    ("labels", "phrases"),
    [
        (("a_b", "a-b"), {}),
        (("Benign", "benign"), {}),
        (("stage II", "stage 2"), {}),
        (("tumor", "tumour"), {}),
        (("grey", "gray"), {}),
        (("cyst", "cysts"), {}),
        (("ER +", "ER+"), {}),
        (("BI-RADS 4", "BI-RADS category 4"), {}),
        (("no_finding", "No finding"), {}),
        (("ｅｄｅｍａ", "edema"), {}),  # full width
        (("0", "1"), {"0": "normal", "1": "Normal"}),
    ],
)
def test_names_that_no_reply_can_tell_apart_are_refused(
    labels: tuple[str, ...], phrases: dict[str, str]
) -> None:
    with pytest.raises(LayerhouseError) as caught:
        class_rows("d", (*labels, "other"), phrases)
    for label in labels:
        assert label in str(caught.value)
    assert "--phrase" in str(caught.value)


def test_a_word_of_letters_that_only_look_alike_is_told() -> None:
    def told(*labels: str) -> list[str]:
        return label_warnings(class_rows("set", labels, {}))

    (line,) = told("normal", "n\u043ermal")
    assert "has Latin and Cyrillic letters in one word ('n\\u043ermal')" in line
    assert told("норма", "TNFα high", "стадия II") == []


def test_letters_that_are_composed_or_taken_apart_are_said() -> None:
    labels = [unicodedata.normalize(form, "bösartig") for form in ("NFC", "NFD")]
    with pytest.raises(LayerhouseError, match="apart: the same letters, composed in one and taken"):
        class_rows("d", labels, {})
    with pytest.raises(LayerhouseError, match="which no reply can tell apart; write them"):
        class_rows("set", ["a ", "a"], {})  # in a space alone


@pytest.mark.parametrize(
    "labels",
    [
        ("ER+", "ER-"),
        ("T2", "T2a"),
        ("4", "4a"),
        ("pneumonia", "no pneumonia"),
        ("<5 mm", ">5 mm"),
        ("良性", "恶性"),
        ("grade 1", "grade 10"),
        ("IDC(-)", "IDC(+)"),
        ("yes", "no"),
        ("a", "b"),
    ],
)
def test_names_that_differ_in_what_counts_are_taken(labels: tuple[str, ...]) -> None:
    assert [row["label"] for row in class_rows("d", labels, {})] == list(labels)


def test_a_name_that_lost_letters_is_refused_unless_it_is_spelled_out() -> None:
    labels = ("b\ufffdsartig", "gutartig")
    with pytest.raises(LayerhouseError, match=r"has lost letters.*--phrase .*…"):
        class_rows("d", labels, {})
    assert class_rows("d", labels, {labels[0]: "bösartig"})[0]["phrase"] == "bösartig"


@pytest.mark.parametrize(
    "label",
    [
        *("\u202eben", "\u2066ben\u2069", "be\x1b[31mn", "be\nn", "be\x07n", "be\u2028n"),
        *("be\u200bn", "be\u2060n", "be\xadn", "be\u200dn", "\ufeffben", "ben\U000e0041"),
    ],
)
def test_a_name_of_signs_that_nobody_sees_is_refused(label: str) -> None:
    with pytest.raises(LayerhouseError, match=r"holds a sign that nobody sees \(U\+") as caught:
        class_rows("d", (label, "malignant"), {})
    assert str(caught.value).isprintable()
    with pytest.raises(LayerhouseError, match="nobody sees"):
        class_rows("d", ("benign", "malignant"), {"benign": label})


def test_joiners_are_letters_where_a_language_writes_them() -> None:
    for label in ("\u0645\u06cc\u200c\u0634\u0648\u062f", "\u0915\u094d\u200d\u0937", "حميد"):
        assert class_rows("d", (label, "malignant"), {})[0]["label"] == label


def test_names_that_others_begin_with_are_warned_of_by_name() -> None:
    labels = ("4", "4a", "40", "5")
    (line, _) = label_warnings(class_rows("d", labels, {}))
    assert "'4a' begins with '4', '40' begins with '4';" in line
    assert "'5'" not in line
    many = [f"class{'x' * n}" for n in range(6)]
    (line,) = label_warnings(class_rows("d", many, {}))
    assert "and 2 more" in line
    assert not label_warnings(class_rows("d", ("benign", "malignant"), {}))


def test_codes_are_no_names_and_options_are_quoted_as_they_are_typed() -> None:
    (line,) = label_warnings(class_rows("d", ("J18.0", "J18.9"), {}))
    assert 'would be asked for "J18.0, J18.9"; name the classes with --phrase J18.0=… for' in line
    (line,) = label_warnings(class_rows("d", ("BI-RADS 4", "BI-RADS 4a"), {}))
    assert "(other words: --phrase 'BI-RADS 4a='…)" in line
