"""The rows that hold a classifier's logits, for probes and baselines alike."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


def logit_rows(
    key: str, value: str, sample_ids: NDArray[np.object_], split: str, logits: NDArray[np.float32]
) -> pa.Table:
    """Rows of `probe_logit` or `baseline_logit`: one per sample of a split."""
    n, width = logits.shape
    flat = np.ascontiguousarray(logits, dtype=np.float32)
    return pa.table(
        {
            key: pa.repeat(value, n),
            "sample_id": pa.array(sample_ids, pa.string()),
            "split": pa.repeat(split, n),
            "logits": pa.ListArray.from_arrays(
                np.arange(0, n * width + 1, width, dtype=np.int32), pa.array(flat.ravel())
            ),
            "predicted_class_index": pa.array(flat.argmax(1).astype(np.int32)),
        }
    )
