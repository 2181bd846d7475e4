"""The prompt that a model gets of a question alone."""

from extract.models import GivenModel, ModelSource, Prompt, read_prompts
from extract.models.prompt_entries import Wording


def read_prompt(source: ModelSource | GivenModel, question: str) -> Prompt:
    return read_prompts(source, [Wording(question)])[0]
