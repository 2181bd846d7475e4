from .adapters import adaptable as adaptable, load_peft as load_peft, untie as untie
from .architectures import architecture_sizes as architecture_sizes
from .budgets import default_budget as default_budget
from .by_fold import (
    fold_folder as fold_folder,
    fold_repairs as fold_repairs,
    refuse_changed_repair as refuse_changed_repair,
    repair_fingerprint as repair_fingerprint,
)
from .collecting import collecting_nothing as collecting_nothing
from .devices import choose_device as choose_device, choose_dtype as choose_dtype
from .files import failing_as as failing_as
from .folders import (
    ANSWER_PART as ANSWER_PART,
    MEND_RECORD as MEND_RECORD,
    TRAINING_RECORD as TRAINING_RECORD,
    refuse_unfit_adapter as refuse_unfit_adapter,
)
from .given import GivenModel as GivenModel
from .loading import (
    LoadedModel as LoadedModel,
    foreign_processor as foreign_processor,
    load as load,
    read_prompts as read_prompts,
)
from .naming import refuse_unknown as refuse_unknown
from .placement import parse_placement as parse_placement
from .plugins import ModelPlugin as ModelPlugin, register as register
from .processors import Encoder as Encoder
from .prompt_entries import (
    EVERY as EVERY,
    PromptEntry as PromptEntry,
    Wording as Wording,
    find_prompts as find_prompts,
    lake_prompts as lake_prompts,
    rotations as rotations,
    shipped_prompts as shipped_prompts,
)
from .prompts import (
    Prompt as Prompt,
    build_prompt as build_prompt,
    phrase_tokens as phrase_tokens,
    prompt_notes as prompt_notes,
    render as render,
    unseeing_tokens as unseeing_tokens,
)
from .registry import entry_named as entry_named, matching_entries as matching_entries
from .session import (
    Inputs as Inputs,
    Session as Session,
    anatomy_of as anatomy_of,
    open_session as open_session,
)
from .sources import (
    ModelSource as ModelSource,
    known_facts as known_facts,
    locate as locate,
    locate_processor as locate_processor,
    mend_variant as mend_variant,
)
from .text_models import TextModel as TextModel, load_text_model as load_text_model
from .verification import Verification as Verification, verifiable as verifiable, verify as verify
