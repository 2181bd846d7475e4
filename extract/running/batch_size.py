"""The batch size: how many images run at once, and how that is found out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from extract.sharing import COMMAND, Job, batch_size_of
from warehouse.errors import LayerhouseError
from warehouse.lake import list_commits

AUTO_BATCH = 16


@dataclass
class BatchSize:
    """As many as were asked for, or as the device's memory has held so far.

    `fitted` is what it held after it had run out; `notes` are worth showing.
    """

    now: int
    is_fixed: bool
    fitted: int | None = None
    notes: list[str] = field(default_factory=list)

    def cut(self, names: Sequence[str]) -> Iterator[Sequence[str]]:
        """The samples in batches of what is the size by then."""
        start = 0
        while start < len(names):
            size = self.now
            yield names[start : start + size]
            start += size

    def halve(self, size: int, error: Exception) -> None:
        """Memory ran out with a batch of this size; raises LayerhouseError if that cannot be."""
        if size == 1 or self.is_fixed:
            raise LayerhouseError(
                f"a batch of {size} images does not fit into the device's memory; "
                "try a smaller --batch-size or --dtype bfloat16"
            ) from error
        self.now = self.fitted = max(size // 2, 1)
        self.notes.append(f"out of memory: batches of {self.now} from here on")


def batch_size_for(job: Job, *, batching: bool) -> BatchSize:
    """What to begin with; `batching` is False for a model whose images must run one by one."""
    asked = batch_size_of(job.request.batch_size)
    size = asked or remembered_batch(job) or AUTO_BATCH
    return BatchSize(size if batching else 1, asked is not None)


def device_name(job: Job) -> str:
    """What kind of device a job runs on: a GPU by its name, since that says how much it holds."""
    import torch

    return torch.cuda.get_device_name(job.device) if job.device.startswith("cuda") else job.device


def remembered_batch(job: Job) -> int | None:
    """The batch size that fitted this model on such a device when an earlier run ran out of memory.

    Any dataset's commits count; None where memory never ran out.
    """
    fitted = [
        commit.notes["fitted"]
        for commit in list_commits(job.lake, command=COMMAND, model_id=job.model_id)
        if "fitted" in commit.notes
    ]
    here = device_name(job)
    return min((int(found["batch"]) for found in fitted if found["device"] == here), default=None)
