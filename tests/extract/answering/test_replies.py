"""A reply names exactly one class, or it is not parsed."""

from __future__ import annotations

import string

import pytest
from hypothesis import given, strategies as st

from extract.answering.replies import ClassNames, lists_letters, normalise, parse_reply

LESIONS = [
    ClassNames("benign", "benign"),
    ClassNames("malignant", "malignant"),
    ClassNames("normal", "normal"),
]
LUNGS = [
    ClassNames("0", "no pneumonia"),
    ClassNames("1", "pneumonia"),
    ClassNames("2", "pneumonia with effusion"),
]
FILLER = st.text(alphabet="xyz .,;:!?\n\t-_", max_size=20)


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("benign", 0),
        ("BENIGN.", 0),
        ("The lesion is malignant!", 1),
        ("It looks normal, yes, normal.", 2),
        ("benign or malignant", None),
        ("beni gn", None),
        ("abnormal", None),
        ("", None),
        ("…", None),
        ("<think>It could be malignant.</think><answer>benign</answer>", 0),
        ("<think>malignant?</think> normal", 2),
        ("<think>benign, because", None),
        ("<answer>malignant", 1),
    ],
)
def test_a_reply_is_read_by_the_documented_rules(reply: str, expected: int | None) -> None:
    assert parse_reply(reply, LESIONS) == expected


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("no pneumonia", 0),
        ("There is pneumonia.", 1),
        ("pneumonia with effusion", 2),
        ("No_pneumonia", 0),
        ("pneumonia, no pneumonia", None),
        ("1", 1),
    ],
)
def test_the_longer_of_two_overlapping_names_counts(reply: str, expected: int | None) -> None:
    assert parse_reply(reply, LUNGS) == expected


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("B", 1),
        ("(c)", 2),
        ("B.", 1),
        ("The answer is (A)", 0),
        ("Option C", 2),
        ("A or B", None),
        ("(A) or (B)", None),
        ("D", None),
        ("a mass", None),
        ("malignant (A)", 1),
    ],
)
def test_letters_count_where_the_question_lists_them(reply: str, expected: int | None) -> None:
    assert parse_reply(reply, LESIONS, letters=True) == expected


def test_letters_mean_nothing_where_the_question_does_not_list_them() -> None:
    assert parse_reply("B", LESIONS) is None
    phrases = [names.phrase for names in LESIONS]
    assert lists_letters("Which? A. benign B. malignant C. normal", phrases)
    assert lists_letters("Which? (A) benign (B) malignant (C) normal", phrases)
    assert not lists_letters("Which? benign, malignant, normal", phrases)
    assert not lists_letters("A. benign B. malignant", phrases)
    assert not lists_letters("anything", [])


@given(before=FILLER, after=FILLER, index=st.integers(0, 2), upper=st.booleans())
def test_one_name_between_other_words_is_found(
    before: str, after: str, index: int, upper: bool
) -> None:
    phrase = LESIONS[index].phrase.upper() if upper else LESIONS[index].phrase
    assert parse_reply(f"{before} {phrase} {after}", LESIONS) == index


@given(pair=st.permutations(range(3)), between=FILLER)
def test_two_names_are_never_parsed(pair: list[int], between: str) -> None:
    first, second = (LESIONS[index].phrase for index in pair[:2])
    assert parse_reply(f"{first} {between} {second}", LESIONS) is None


@given(reply=st.text(max_size=60), letters=st.booleans())
def test_any_text_gives_a_class_or_none(reply: str, letters: bool) -> None:
    found = parse_reply(reply, LESIONS, letters=letters)
    assert found is None or 0 <= found < len(LESIONS)


@given(text=st.text(max_size=40))
def test_normalising_twice_changes_nothing(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once
    assert not set(once) & set(string.punctuation)


def test_accents_and_width_do_not_matter() -> None:
    names = [ClassNames("a", "Lésion bénigne"), ClassNames("b", "autre")]
    assert parse_reply("LE\u0301SION BE\u0301NIGNE", names) == 0
    assert parse_reply("ａｕｔｒｅ", names) == 1
