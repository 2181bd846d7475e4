"""What sets the phrases of classes apart."""

from __future__ import annotations

from extract.answering.phrases import telling_tokens


def test_the_telling_token_is_where_a_phrase_becomes_unique() -> None:
    assert telling_tokens([[1, 5], [2, 5], [3]]) == [1, 2, 3]
    assert telling_tokens([[1, 5], [1, 6], [2]]) == [5, 6, 2]
    assert telling_tokens([[1], [1, 6]]) == [1, 6]
