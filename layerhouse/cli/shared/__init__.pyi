from .interventions import (
    intervention_options as intervention_options,
    show_outlook as show_outlook,
    show_summary as show_summary,
)
from .options import (
    dataset_option as dataset_option,
    format_option as format_option,
    lake_option as lake_option,
    limit_options as limit_options,
    model_option as model_option,
)
from .progress_bar import progress as progress
from .prompts import shown_prompt as shown_prompt
from .removals import (
    removal_options as removal_options,
    show_removal as show_removal,
)
from .rescoring import due_after_score as due_after_score
from .words import Word as Word
