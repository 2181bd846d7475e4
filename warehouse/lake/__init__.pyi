from .commits import (
    Commit as Commit,
    bookkeeping as bookkeeping,
    commit_hash as commit_hash,
    parts as parts,
    read_commit as read_commit,
)
from .compacting import Compaction as Compaction, compact as compact, joinable as joinable
from .exclusion import exclusive as exclusive
from .freeing import free as free
from .history import (
    config_difference as config_difference,
    find_runs as find_runs,
    tells_nothing_seen as tells_nothing_seen,
)
from .holding import Kept as Kept, still_held as still_held
from .inspection import (
    FREED as FREED,
    Damaged as Damaged,
    Leftover as Leftover,
    damaged_shards as damaged_shards,
    leftovers as leftovers,
    take_stock as take_stock,
)
from .lake import Lake as Lake
from .overlapping import done_twice as done_twice
from .removing import (
    Removal as Removal,
    RemovedRun as RemovedRun,
    remove as remove,
)
from .removing_samples import SampleRemoval as SampleRemoval, remove_samples as remove_samples
from .repairing import repair as repair, restore as restore, sweep as sweep
from .rewriting import named_removed as named_removed
from .runs import OvertakenError as OvertakenError, RunSpec as RunSpec, RunWriter as RunWriter
from .samples import (
    latest_dataset as latest_dataset,
    mark_of as mark_of,
    removed_samples as removed_samples,
    sample_order as sample_order,
)
from .shards import (
    Piece as Piece,
    Rows as Rows,
    checked_table as checked_table,
    hive_folder as hive_folder,
    pieces as pieces,
    write_parquet as write_parquet,
)
from .standing import (
    Standing as Standing,
    commit_names as commit_names,
    list_commits as list_commits,
    list_records as list_records,
)
from .unpacking import read_shard as read_shard
from .vectors import read_locus as read_locus, read_tokens as read_tokens
from .verified import refuse_unsound as refuse_unsound, unsound as unsound
