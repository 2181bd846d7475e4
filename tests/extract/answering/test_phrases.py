"""What sets the phrases of classes apart."""

from __future__ import annotations

import pytest

from extract.answering.phrases import PhraseTree, telling_tokens, told_apart
from warehouse.errors import LayerhouseError


def test_the_telling_token_is_where_a_phrase_becomes_unique() -> None:
    assert telling_tokens([[1, 5], [2, 5], [3]]) == [1, 2, 3]
    assert telling_tokens([[1, 5], [1, 6], [2]]) == [5, 6, 2]
    assert telling_tokens([[1], [1, 6]]) == [1, 6]


class Letters:
    """A tokenizer that knows the letters and digits of ASCII."""

    unk_token, unk_token_id = "<unk>", 0

    def tokens(self, name: str) -> list[int]:
        return [ord(sign) if sign.isascii() else self.unk_token_id for sign in name]

    def convert_ids_to_tokens(self, ids: list[int]) -> list[str]:
        return [chr(token) if token else self.unk_token for token in ids]


def told(*names: str, ends: bool = True) -> list[str]:
    tokenizer = Letters()
    return told_apart(tokenizer, names, [tokenizer.tokens(name) for name in names], ends=ends)


def test_names_of_equal_tokens_are_refused_by_name() -> None:
    with pytest.raises(LayerhouseError, match=r"'肺炎' and '结核' are .*<unk> <unk>"):
        told("normal", "肺炎", "结核")


def test_names_that_begin_alike_are_warned_of_with_what_decides() -> None:
    assert told("4", "5", "4a") == [
        "class names that begin alike: '4a' begins with the tokens of '4'; the end of a reply "
        "counts, so each can win"
    ]
    (line,) = told("4", "4a", "4ab", ends=False)
    assert "'4ab' begins with the tokens of '4', '4ab' begins with the tokens of '4a'" in line
    assert line.endswith("by likelihood the longer can never win")


def test_names_with_unknown_tokens_are_warned_of() -> None:
    (line,) = told("normal", "肺x", "x")
    assert line.startswith("the tokenizer does not know all of '肺x': ")
    assert told("a", "b", "cat") == []


def test_a_tree_has_each_beginning_once() -> None:
    tree = PhraseTree(((5, 6, 7), (5, 6, 8), (5, 9), (4,)))
    assert list(tree.nodes) == [(5,), (5, 6)]
    assert tree.ways() == [[0], [0, 1]]
