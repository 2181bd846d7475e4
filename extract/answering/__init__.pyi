from .continuing import (
    UNSUPPORTED as UNSUPPORTED,
    Prompted as Prompted,
    appended as appended,
    cache_of as cache_of,
    placed as placed,
    run_prompts as run_prompts,
)
from .fitting import minimise as minimise
from .generating import overridden_settings as overridden_settings, unending as unending
from .joining import HeldPrompt as HeldPrompt, hold as hold, joined as joined
from .methods import (
    AskedBatch as AskedBatch,
    Draw as Draw,
    Question as Question,
    Sampling as Sampling,
    method_named as method_named,
    run_order as run_order,
)
from .part import (
    AnswerPart as AnswerPart,
    Lesson as Lesson,
    Listener as Listener,
    Place as Place,
    WorkingPart as WorkingPart,
)
from .parts import PARTS as PARTS, read_part as read_part
from .phrases import (
    ended as ended,
    telling_tokens as telling_tokens,
    told_apart as told_apart,
)
from .places import ReplyPlace as ReplyPlace, places_of as places_of
from .sampling import standing as standing
from .scoring import (
    prior_of as prior_of,
    refuse_not_finite as refuse_not_finite,
    score_phrases as score_phrases,
)
