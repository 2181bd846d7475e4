from .methods import ANSWER_METHODS as ANSWER_METHODS, Question as Question
from .phrases import telling_tokens as telling_tokens
from .replies import ClassNames as ClassNames, lists_letters as lists_letters
from .scoring import Prompted as Prompted, cache_of as cache_of, score_phrases as score_phrases
