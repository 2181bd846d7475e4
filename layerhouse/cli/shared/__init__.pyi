from .interventions import (
    intervention_options as intervention_options,
    show_outlook as show_outlook,
    show_summary as show_summary,
)
from .options import (
    OnceOption as OnceOption,
    dataset_option as dataset_option,
    format_option as format_option,
    lake_option as lake_option,
    limit_options as limit_options,
    model_option as model_option,
    named_option as named_option,
)
from .progress_bar import progress as progress
from .prompts import shown_prompt as shown_prompt
from .removals import (
    removal_options as removal_options,
    show_removal as show_removal,
)
from .rescoring import due_after_score as due_after_score
from .running import (
    adapter_option as adapter_option,
    batch_size_option as batch_size_option,
    device_option as device_option,
    dtype_option as dtype_option,
    fault_option as fault_option,
    layer_option as layer_option,
    max_pixels_option as max_pixels_option,
    module_option as module_option,
    quantization_option as quantization_option,
    skip_bad_option as skip_bad_option,
    system_option as system_option,
    trained_on_option as trained_on_option,
)
from .words import Word as Word
