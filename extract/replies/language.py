"""What is known of languages and of models' habits, and the characters that stand for mentions."""

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

MARK = 0xF0000
"""The first of the private characters that stand for mentions in a text."""
MENTION = "[\U000f0000-\U000ffffd]"
WORD = (
    r"0-9A-Za-z\u00c0-\u024f\u0370-\u04ff\u0531-\u0588\u0591-\u05ea\u0620-\u0669\u066e-\u06d3"
    r"\u06d5-\u06ff\u0900-\u0963\u0966-\u0dff\u10a0-\u10ff"
)
"""Characters of scripts that put spaces between words; others need none around a name."""
TRADITIONAL = (
    "並併個傢傾僅儘兒別則勻區卻問嚮圍媽審對屬幾強彆徵慮應戶擇據數斷於旣暫曏査極標檢沒為無爲現異發盡確稱"
    "箇簽籤級終結經綜緻縱總續臟與處衕見規視親觀訂許診証該認誤請論證讓跡蹟較迴連週進過違適選還錯錶鑑鑒"
    "間閤關陰陽險隻雖難項順題類顯風餘髒髮鮮齣"
)
SIMPLIFIED = (
    "并并个家倾仅尽儿别则匀区却问向围妈审对属几强别征虑应户择据数断于既暂向查极标检没为无为现异发尽确称"
    "个签签级终结经综致纵总续脏与处同见规视亲观订许诊证该认误请论证让迹迹较回连周进过违适选还错表鉴鉴"
    "间合关阴阳险只虽难项顺题类显风余脏发鲜出"
)
"""What the words of replies.toml are written with, in the two ways of writing Chinese."""
_SIMPLER = str.maketrans(TRADITIONAL, SIMPLIFIED)


def simpler(text: str) -> str:
    """A text whose traditional characters, those of Japanese among them, are simplified ones, as
    far as words of replies.toml hold them."""
    return text.translate(_SIMPLER)


@cache
def language() -> dict[str, Any]:
    """What replies.toml knows of languages and of models' habits."""
    text = Path(__file__).with_name("replies.toml").read_text(encoding="utf-8")
    return tomllib.loads(simpler(text))
