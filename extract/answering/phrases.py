"""What sets the phrases of classes apart."""

from collections.abc import Sequence


def telling_tokens(phrases: Sequence[Sequence[int]]) -> list[int]:
    """For every phrase the token that sets it apart: the end of its shortest unique beginning."""
    found = []
    for phrase in phrases:
        others = [other for other in phrases if list(other) != list(phrase)]
        for length in range(1, len(phrase) + 1):
            start = list(phrase[:length])
            if not any(list(other[:length]) == start for other in others):
                break
        found.append(phrase[length - 1])
    return found
