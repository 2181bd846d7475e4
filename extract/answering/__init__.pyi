from .continuing import Prompted as Prompted, cache_of as cache_of
from .generating import overridden_settings as overridden_settings
from .methods import ANSWER_METHODS as ANSWER_METHODS, Question as Question
from .phrases import telling_tokens as telling_tokens
from .replies import (
    ClassNames as ClassNames,
    left_open as left_open,
    lists_letters as lists_letters,
)
from .scoring import score_phrases as score_phrases
