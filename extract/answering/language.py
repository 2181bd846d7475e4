"""What is known of languages and of models' habits, and the characters that stand for mentions."""

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

MARK = 0xF0000
"""The first of the private characters that stand for mentions in a text."""
MENTION = "[\U000f0000-\U000ffffd]"
WORD = r"0-9A-Za-z\u00c0-\u024f\u0370-\u04ff"
"""Characters of scripts that put spaces between words; others need none around a name."""


@cache
def language() -> dict[str, Any]:
    """What replies.toml knows of languages and of models' habits."""
    return tomllib.loads(Path(__file__).with_name("replies.toml").read_text(encoding="utf-8"))
