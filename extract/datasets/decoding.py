"""Text of tables, from bytes: in the encoding that was meant, or refused with its line."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from warehouse.errors import LayerhouseError, UsageError

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def decoded_text(path: Path, encoding: str | None) -> str:
    """What a file says, in the encoding that is named, else as its first bytes mark it or UTF-8.

    LayerhouseError with the line for what is no text in it, UsageError for an unknown encoding.
    """
    raw = path.read_bytes()
    try:
        codec = codecs.lookup(encoding).name if encoding else ""
    except LookupError:
        raise UsageError(
            f"no encoding is called {encoding!r}; usual ones are utf-8, cp1252, utf-16 and gbk"
        ) from None
    marked = next((name for mark, name in _MARKS if raw.startswith(mark)), "utf-8-sig")
    zeros = [raw[start:4096:2].count(0) for start in (0, 1)]
    if not codec and marked == "utf-8-sig" and 4 * max(zeros) > len(raw[:4096:2]):
        kind = "utf-16-le" if zeros[1] > zeros[0] else "utf-16-be"
        raise LayerhouseError(
            f"line 1 of {path} holds zero bytes, as UTF-16 text does; if it is that, add "
            f"--encoding {kind}"
        )
    used = codec if codec and codec != "utf-8" else marked
    try:
        content = _without_zeros(raw.decode(used), path)
        _refuse_twice_encoded(content, path, encoding)
        _refuse_controls(content, path)
        return content
    except UnicodeError as error:
        start = getattr(error, "start", 0)
        line = raw[:start].count(b"\n") + 1
        shown = used.removesuffix("-sig").upper()
        way_out = (
            "name the right --encoding"
            if encoding
            else "add --encoding cp1252 (Excel in western Europe), gbk or whatever it was saved in"
        )
        raise LayerhouseError(f"line {line} of {path} is not {shown} text; {way_out}") from error


_HIGH = re.compile("[\u0080-\u00ff]{2,}")


def _refuse_twice_encoded(content: str, path: Path, encoding: str | None) -> None:
    """LayerhouseError for letters that were UTF-8 and were read as Latin-1: `Ã¶` for `ö`.

    One letter of another alphabet alone could be a capital before a sign, as in `«CAFÉ»`.
    """
    for found in _HIGH.finditer(content):
        try:
            meant = found[0].encode("latin-1").decode()
        except UnicodeError:
            continue
        if meant.isalpha() and (len(meant) > 1 or found[0][0] == "Ã"):
            way_out = (
                f"leave --encoding {encoding} out"
                if encoding
                else "it is UTF-8 that was once read as something else, so export it anew"
            )
            line = content.count("\n", 0, found.start()) + 1
            raise LayerhouseError(
                f"line {line} of {path} says {found[0]!r}, which is meant to be {meant!r}; "
                f"{way_out}"
            )


def _refuse_controls(content: str, path: Path) -> None:
    """LayerhouseError for signs that no text has; Windows has dashes where Latin-1 has these."""
    if found := re.search("[\u0080-\u009f]", content):
        line = content.count("\n", 0, found.start()) + 1
        raise LayerhouseError(
            f"line {line} of {path} holds the sign {found[0]!a}, which no text has; name the "
            "encoding that it was saved in, which for Excel in western Europe is --encoding cp1252"
        )


def _without_zeros(content: str, path: Path) -> str:
    place = content.find("\0")
    if place >= 0:
        raise LayerhouseError(
            f"line {content.count(chr(10), 0, place) + 1} of {path} holds a zero byte, which no "
            "text has: the file is damaged; write it again, or drop them with tr -d '\\000'"
        )
    return content
