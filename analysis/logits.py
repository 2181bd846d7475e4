"""What classifiers leave behind, probes and baselines alike: logits as rows, a column per class."""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

# The logit of a class that train never showed lies this far below the row's smallest.
UNSEEN_DROP = 30.0


def logit_rows(
    key: str, value: str, sample_ids: NDArray[np.object_], split: str, logits: NDArray[np.float32]
) -> pa.Table:
    """Rows of `probe_logit` or `baseline_logit`: one per sample of a split.

    sample_ids: [n]; logits: [n, n_classes].
    """
    n = len(logits)
    return pa.table(
        {
            key: pa.repeat(value, n),
            "sample_id": pa.array(sample_ids, pa.string()),
            "split": pa.repeat(split, n),
            **logit_columns(logits),
        }
    )


def logit_columns(logits: NDArray[np.float32]) -> dict[str, pa.Array]:
    """Logits [n, n_classes] as a list per row, and the class that each row names."""
    n, width = logits.shape
    flat = np.ascontiguousarray(logits, dtype=np.float32)
    ends = np.arange(0, n * width + 1, width, dtype=np.int32)
    return {
        "logits": pa.ListArray.from_arrays(ends, pa.array(flat.ravel())),
        "predicted_class_index": pa.array(flat.argmax(1).astype(np.int32)),
    }


def widen(
    logits: NDArray[np.floating[Any]], seen: NDArray[np.int64], n_classes: int
) -> NDArray[np.float32]:
    """Logits [..., seen classes] with a column for every class, [..., n_classes].

    Those that train never showed lie far below the others: a classifier must not name them.
    """
    wide = np.repeat(logits.min(-1, keepdims=True) - UNSEEN_DROP, n_classes, axis=-1)
    wide[..., seen] = logits
    return wide.astype(np.float32)
