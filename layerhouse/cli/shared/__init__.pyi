from .options import (
    dataset_option as dataset_option,
    lake_option as lake_option,
    model_option as model_option,
)
from .progress_bar import progress as progress
<<<<<<< HEAD
from .prompts import shown_prompt as shown_prompt
=======
from .removals import removal_options as removal_options, show_removal as show_removal
>>>>>>> 6af3b9b (Datasets, models and runs can be taken out of a lake, by a commit record that names the runs; their files are freed on request)
from .words import Word as Word
