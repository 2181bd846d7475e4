"""Classes whose names are phrases around a bare one, as "effusion present" and "a photo of a cat":
replies say the bare name, or deny it. Words run together, as "MildDemented", are said apart.
"""

import re
from collections import Counter
from dataclasses import replace
from functools import lru_cache

from extract.replies.class_names import ClassNames, own_names
from extract.replies.language import language
from extract.replies.spelling import folded, is_terse


@lru_cache(maxsize=64)
def unframed(classes: tuple[ClassNames, ...]) -> tuple[ClassNames, ...]:
    """The classes under their bare names, "no effusion" for "effusion absent"; the names that they
    had are further ones. Names that would be those of other classes stay.
    """
    taken = own_names(classes)
    bare = [_bare(names.phrase) for names in classes]
    counts = Counter(bare)
    return tuple(
        replace(names, phrase=name, also=(names.phrase, *names.also))
        if name and name not in taken and counts[name] == 1
        else names
        for names, name in zip(classes, bare, strict=True)
    )


def _bare(phrase: str) -> str:
    """What a phrase says is there, or that it is not, and words run together with spaces between
    them; nothing for other phrases.
    """
    if re.fullmatch("(?:[A-Z][a-z]{2,}){2,}", phrase):
        spaced = re.sub("(?<=[a-z])(?=[A-Z])", " ", phrase)
        return _bare(spaced) or folded(spaced).casefold()
    name = folded(phrase).replace("_", " ").strip().casefold()
    for kind, absent in (("shown", ""), ("gone", "no "), ("there", "")):
        for frame in language()["frames"][kind]:
            found = re.fullmatch(frame.replace("{name}", r"(\S.*?)"), name, re.IGNORECASE)
            if found and not is_terse(found[1]):
                return f"{absent}{_bare(found[1]) or found[1]}"
    return ""
