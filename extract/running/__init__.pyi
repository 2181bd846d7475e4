from .background import (
    BackgroundWriter as BackgroundWriter,
    Write as Write,
    ahead as ahead,
    in_a_thread as in_a_thread,
    leaving_a_core as leaving_a_core,
    writers as writers,
)
from .batch_size import BatchSize as BatchSize, batch_size_for as batch_size_for
from .batches import Runner as Runner
from .clock import Stopwatch as Stopwatch, added_up as added_up
from .dry_run import Outlook as Outlook, outlook as outlook
from .extraction import (
    Description as Description,
    describe as describe,
    done_before as done_before,
    extract as extract,
    pace as pace,
    put_behind as put_behind,
)
from .faulty import (
    learned_by as learned_by,
    preparer_of as preparer_of,
    runner_of as runner_of,
)
from .opening import OpenedModel as OpenedModel, open_model as open_model
from .preparing import Prepared as Prepared, Preparer as Preparer
from .ranges import range_runner as range_runner
from .results import BatchResult as BatchResult, RangeResult as RangeResult
from .rows import (
    activation_table as activation_table,
    answer_rows as answer_rows,
    model_rows as model_rows,
)
from .seeing import find_sees_once as find_sees_once
from .self_check import check as check
from .trials import Bench as Bench, open_bench as open_bench
from .writing import RangeWriter as RangeWriter
