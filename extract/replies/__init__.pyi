from .class_names import ClassNames as ClassNames
from .marks import left_open as left_open, without_reasoning as without_reasoning
from .mentions import Mention as Mention, alike as alike
from .parsing import (
    listed_order as listed_order,
    lists_letters as lists_letters,
    names_in as names_in,
    parse_reply as parse_reply,
    read_reply as read_reply,
)
from .readings import Reading as Reading
from .spelling import names_a_scale as names_a_scale
