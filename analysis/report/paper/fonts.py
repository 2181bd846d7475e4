"""Which fonts of this machine have the letters that are to be drawn."""

from __future__ import annotations

import os
import string
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from tempfile import TemporaryDirectory, mkstemp

from fontTools.ttLib import TTFont
from matplotlib.backends._backend_pdf_ps import get_glyphs_subset
from matplotlib.font_manager import FontEntry, FontPath, findfont, fontManager
from matplotlib.ft2font import FaceFlags, FT2Font

DEFAULT = "DejaVu Sans"
"""It comes with matplotlib, so that figures look alike on every machine."""

REGULAR = 400
NO_LETTERS = ("emoji", "last resort", "lastresort", "blank")
"""Fonts so named have boxes or pictures where letters belong."""


@dataclass(frozen=True)
class Fonts:
    """Families to draw with, each for what those before it lack; letters that none has.

    `in_pdf`: how a PDF embeds them, as TrueType (42) or glyph by glyph (3). Publishers want the
    first, which fonts of PostScript outlines cannot be.
    """

    families: tuple[str, ...]
    missing: frozenset[str]
    in_pdf: int = 42

    def have(self, text: str) -> bool:
        return self.missing.isdisjoint(text)


def fonts_for(texts: Iterable[str]) -> Fonts:
    """The fewest fonts in a fixed order that have the letters of these texts, as far as any has."""
    _passing()
    letters = {letter for text in texts for letter in text if not _is_invisible(letter)}
    families, missing = [DEFAULT], letters - _letters(findfont(DEFAULT), 0)
    in_pdf = 42
    for entry in _others(letters) if missing else ():
        if found := missing & _letters(entry.fname, entry.index):
            families.append(entry.name)
            missing -= found
            if _is_postscript(entry.fname, entry.index):
                in_pdf = 3
        if not missing:
            break
    return Fonts(tuple(families), frozenset(missing), in_pdf)


def _is_invisible(letter: str) -> bool:
    """Spaces, ends of lines and marks of direction need no glyph."""
    return unicodedata.category(letter) in ("Cc", "Cf", "Zs", "Zl", "Zp")


def _others(letters: set[str]) -> list[FontEntry]:
    """Upright fonts of usual weight, those first that suit the language, then without serifs."""
    kana = any("\u3040" <= letter <= "\u30ff" for letter in letters)
    suits = {"JP"} if kana else {"SC", "CN"}

    def order(entry: FontEntry) -> tuple[bool, bool, str, int]:
        words = entry.name.split()
        return suits.isdisjoint(words), "Sans" not in words, entry.name, entry.index

    found = [
        entry
        for entry in fontManager.ttflist
        if entry.style == "normal"
        and entry.weight in (REGULAR, "regular", "normal", "book")
        and not any(word in entry.name.lower() for word in NO_LETTERS)
    ]
    return sorted(found, key=order)


@cache
def _letters(path: str, index: int) -> frozenset[str]:
    """What a font can draw; nothing where it cannot be opened or has pixels of one size only."""
    try:
        font = FT2Font(path, face_index=index)
    except (OSError, RuntimeError):
        return frozenset()
    if FaceFlags.SCALABLE not in font.face_flags:
        return frozenset()
    return frozenset(map(chr, font.get_charmap()))


def _is_postscript(path: str, index: int) -> bool:
    with TTFont(path, fontNumber=index, lazy=True) as font:
        return "glyf" not in font


SHAPING = ("GSUB", "GPOS", "GDEF", "kern", "morx", "kerx")
"""Tables that choose and place glyphs, which a file that names its glyphs has no use for."""

USUAL = f"{string.printable}{''.join(map(chr, range(0xA0, 0x100)))}–—…‘’“”−×→≤≥■ﬀﬁﬂﬃﬄ"
"""Letters and signs of most figures; the last are what `fi` and its like are drawn as."""


class PartFont(FontPath):
    """A font's file with a part of its glyphs and tables, that is looked up as the font itself."""

    of: FontPath
    glyphs: Mapping[int, int]
    """Of the font, and the numbers that they have in this part."""

    def __eq__(self, other: object) -> bool:
        return self.of == other

    def __hash__(self) -> int:
        return hash(self.of)


def part_of(font: FontPath, glyphs: Iterable[int]) -> PartFont:
    """A file of the same font that has these glyphs, the sooner embedded the fewer others it has.

    A file of a paper's takes a few of a font's thousands of glyphs, and most take the same ones.
    """
    usual = _usual(font)
    return usual if usual.glyphs.keys() >= set(glyphs) else _light(font)


@cache
def _usual(font: FontPath) -> PartFont:
    """The glyphs of USUAL letters."""
    whole, of_letter = _light(font), FT2Font(font.path, face_index=font.face_index).get_charmap()
    glyphs = {of_letter[ord(letter)] for letter in USUAL if ord(letter) in of_letter}
    with get_glyphs_subset(whole, glyphs) as part:
        return _written(font, part.font, part.glyph_index_map)


@cache
def _light(font: FontPath) -> PartFont:
    """All glyphs without SHAPING, of which a part is embedded in a fourth of the time."""
    kept = {"recalcBBoxes": False, "recalcTimestamp": False}
    with TTFont(font.path, fontNumber=font.face_index, lazy=True, **kept) as whole:
        for table in SHAPING:
            if table in whole:
                del whole[table]
        for table in whole["cmap"].tables:
            table.cmap = {}
        whole["post"].formatType = 3
        return _written(font, whole, {glyph: glyph for glyph in range(len(whole.getGlyphOrder()))})


def _written(font: FontPath, part: TTFont, glyphs: Mapping[int, int]) -> PartFont:
    number, place = mkstemp(".ttf", dir=_passing().name)
    with os.fdopen(number, "wb") as stream:
        part.save(stream, reorderTables=False)
    found = PartFont(place, 0)
    found.of, found.glyphs = font, glyphs
    return found


@cache
def _passing() -> TemporaryDirectory[str]:
    """Gone when the process ends; one for all that are forked from it, which would leave theirs."""
    return TemporaryDirectory(prefix="layerhouse-fonts-")
