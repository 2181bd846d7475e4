"""Spelling: one for a text, and every way in which a class' name may be written."""

import re
import unicodedata
from functools import cache, lru_cache

from extract.replies.language import MENTION, WORD, language, simpler

UNSEEN = "\u00ad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff"
"""Signs that join, part or turn letters and are not seen themselves."""
POINTS = "[\u0591-\u05bd\u05bf\u05c1-\u05c7\u0640\u064b-\u065f\u0670]"
"""Vowel points of Hebrew and Arabic, which most texts leave out, and the stroke that lengthens."""
ROMAN = {"i": 1, "ii": 2, "iii": 3, "iv": 4, "v": 5, "vi": 6}


@lru_cache(maxsize=4096)
def folded(text: str) -> str:
    """A text with one spelling for width, accents, vowel points, ways of writing Chinese, dashes,
    quotes, denials and numerals of grades, and without signs that nobody sees.

    Case stays, since a letter that is an answer is told from an article by it.
    """
    text = re.sub(f"[®™©{UNSEEN}]", "", re.sub(MENTION, " ", text))
    text = unicodedata.normalize("NFKC", text.replace("½", " 1/2"))
    text = re.sub(
        "([A-Za-z\u0370-\u04ff])[\u0300-\u036f]+", r"\1", unicodedata.normalize("NFD", text)
    )
    text = re.sub(POINTS, "", text)
    text = simpler(unicodedata.normalize("NFC", text).replace("ß", "ss"))
    text = re.sub(r"(?<=\w)[\u2014\u2015](?=\w)", " - ", text)
    text = re.sub("[\u2010-\u2015\u2212\ufe63]", "-", text)
    text = re.sub("[\u2018\u2019\u00b4`]", "'", text)
    text = re.sub(r"(?i)\bcan(?:not|'t)\b", "can not", text)
    text = re.sub(r"(?i)n't\b", " not", text)
    text = re.sub(r"(?i)\b(it|there|that|here|this|what)'s\b", r"\1 is", text)
    british = language()["names"]["british"]
    text = re.sub(f"(?i){'|'.join(british)}", lambda found: british[found[0].lower()], text)
    text = re.sub(r"(?i)(?<=[a-z]{3})(?<!surpr)(?<!adv)(?<!rev)is(?=(?:ed|ing)\b)", "iz", text)
    text = re.sub(language()["names"]["ranges"], " ", text, flags=re.IGNORECASE)
    between = language()["names"]["between"]
    text = re.sub(
        rf"(?i)\b({between['scales']})(?:\s*(?:{between['words']}))+\s*(?=\d|[ivx]+\b)",
        r"\1 ",
        text,
    )
    grade = r"([ivx]+|\d)([a-f]?)\b(?![.]\d)"
    scales = language()["terse"]["scales"]
    return re.sub(
        rf"(?i)\b({scales})(s?[ :-]+(?:(?:is|of|=) +)?){grade}(?:\s*(?:-|to|or|and)\s*{grade})?",
        _graded,
        text,
    )


def names_a_scale(text: str) -> bool:
    """Whether a number in a text is a step of a scale, as in "BI-RADS 2" or "stage II"; a class,
    category or label with a number is none.
    """
    scales = language()["terse"]["scales"]
    return bool(re.search(rf"(?i)\b(?!class|category|label)(?:{scales})\W*\d", folded(text)))


def _graded(found: re.Match[str]) -> str:
    """A grade in digits, and both ends of a range as grades of their own."""
    scale, gap, first, part, second, other = found.groups()
    said = f"{scale}{gap}{ROMAN.get(first.lower(), first)}{part}"
    if second is None:
        return said
    return f"{said} or {scale} {ROMAN.get(second.lower(), second)}{other}"


@cache
def pattern(name: str) -> re.Pattern[str]:
    """What finds a class' name in a folded text."""
    text = re.sub(r"(?i)([a-z])'s\b", r"\1", folded(name).replace("_", " ").strip())
    words = rf"\d+\.\d+|\d+|(?:(?!\d)[{WORD}])+|[<>]=?|\S"
    found_by, last = "", None
    for found in re.finditer(words, text):
        piece, after = found[0], text[found.end() :]
        sign = _sign(piece, last is None, after)
        is_mark = unicodedata.category(piece[0])[0] == "M"  # a vowel of Thai, say
        if sign is None and not is_mark and not re.match(r"\w|&", piece):
            continue  # brackets, hyphens, slashes
        if last is not None:
            found_by += _gap(last[0], piece, text[last.end() : found.start()], sign)
        found_by += sign or _word(piece)
        last = found
    if last is None:
        return re.compile(re.escape(text) or r"(?!)")
    if re.match(r"\d+(?:\.\d+)? ?- ?\d", text):
        found_by = rf"(?:(?:between|from) )?{found_by}"
    return re.compile(_bounded(found_by, text, last[0]), re.IGNORECASE)


def is_terse(name: str) -> bool:
    """Whether a name is a number, a numeral or a letter, which may stand for something else."""
    name = folded(name).strip().lower()
    short = re.fullmatch(r"\d+|[a-z]", name) or name in ROMAN
    return bool(short) or name in language()["terse"]["words"]


def _sign(piece: str, first: bool, after: str) -> str | None:
    """What a sign is found by, or None for a word and for a hyphen."""
    piece = {"<=": "≤", ">=": "≥", "&": "and"}.get(piece, piece.lower())
    if first and piece in ("+", "-"):
        return re.escape(piece)
    if piece == "-" and re.match(r"\s?\w", after):
        return None
    names = language()["names"]
    if not first and not after and piece in names["signed"]:
        return str(names["signed"][piece])
    signs = names["signs"]
    return str(signs[piece]) if piece in signs else None


def _gap(last: str, piece: str, between: str, sign: str | None) -> str:
    """What may stand between two pieces of a name, given what stands there in the name."""
    if sign is not None and (piece in "+-" or piece.lower() in language()["names"]["signed"]):
        return r"(?:\s+status)?(?:\s+is|\s*:)?[\s()]*(?:-(?=[a-z]))?"
    if last[-1].isdigit() and piece.isdigit():
        scored = r"(?:\s+(?:score|status|is|of))*[\s/.,(:=]+"
        return r"\s?%?\s*(?:-|to|and|[\s/])\s*" if "-" in between else scored
    if last.casefold() == "no":
        return r"[\s_-]+"  # "no, tumor …" is an answer, and what it says
    spaced = re.search(r"\s", between) and last.isdigit() == piece.isdigit() and last != "and"
    joined = sign is not None or not last.isascii() or not spaced
    if piece.isdigit():
        return r"[\s_/(),.':=#-]*"
    return r"[\s_/(),.'-]*" if joined else r"[\s_/(),'-]+"


def _word(piece: str) -> str:
    """One word, its plural or singular, and other spellings of it."""
    if re.match("[\u0620-\u06ff]", piece):
        return rf"(?:{language()['names']['arabic']})?{re.escape(piece)}ة?"
    if not (piece.isascii() and piece.isalpha()):
        return re.escape(piece)
    single = piece.lower().removesuffix("s")
    forms = [piece]
    for group in language()["names"]["alike"]:
        if piece.lower() in group or single in group:
            forms += [word for word in group if word not in (piece.lower(), single)]
    return (
        "(?:"
        + "|".join(dict.fromkeys(map(_number, forms)))
        + rf")(?:'s|{language()['names']['compound']})?"
    )


def _number(word: str) -> str:
    """What finds a word in the singular and the plural, and in other cases."""
    for end, forms in language()["names"]["endings"]:
        if word.lower().endswith(end) and len(word) > len(end) + 1:
            return re.escape(word[: -len(end)]) + str(forms)
    if len(word) > 4 and word.lower().endswith("us"):
        return re.escape(word[:-2]) + "(?:us|i|uses)"
    if len(word) < 3 or word.lower().endswith(("ss", "us", "is")):
        return re.escape(word)
    if word.lower().endswith("s"):
        return re.escape(word[:-1]) + "s?"
    return re.escape(word) + ("(?:s|ta)?" if word.lower().endswith("a") else "(?:s|es)?")


def _bounded(found_by: str, text: str, last: str) -> str:
    """What finds a name where no word goes on to its left or right."""
    before = rf"(?:(?<![{WORD}])|(?<=\bnon))(?<!\d[.,])" if re.match(rf"[{WORD}<>]", text) else ""
    after = rf"(?![{WORD}])" if re.match(rf"[{WORD}]", last) else ""
    if last[-1].isdigit():
        share = r"\s?%?(?![.,]?\d)" if text.endswith("%") else r"(?!\s?%)"
        after += rf"(?![.,]\d|\s?\+\s?\d){share}"
    closing = r"\)?" if last in "+-" else ""
    if text.casefold() == "no":  # "no fracture" denies the fracture and answers nothing
        after += r"(?=\s*(?:$|[.,:;!?()\n\"'}])|\s+-\s)"
    names = language()["names"]
    gloss = rf"(?:\s*\((?:{names['glosses']})\))?" if last[-1] in "+0123456789" else ""
    apart = "".join(f"(?<!{prefix})" for prefix in names["before"])
    return f"{apart}{before}{found_by}{closing}{after}(?!{names['after']}){gloss}"
