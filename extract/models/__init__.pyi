from .architectures import architecture_sizes as architecture_sizes
from .devices import choose_device as choose_device, choose_dtype as choose_dtype
from .given import GivenModel as GivenModel
from .loading import LoadedModel as LoadedModel, load as load
from .placement import parse_placement as parse_placement
from .plugins import ModelPlugin as ModelPlugin, register as register
from .prompts import (
    QUESTION as QUESTION,
    build_prompt as build_prompt,
    phrase_tokens as phrase_tokens,
    render as render,
)
from .registry import entry_named as entry_named, matching_entries as matching_entries
from .session import Inputs as Inputs, Session as Session, open_session as open_session
from .sources import ModelSource as ModelSource, locate as locate
from .verification import verifiable as verifiable, verify as verify
