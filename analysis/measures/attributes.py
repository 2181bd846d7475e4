"""Attributes of samples, such as view, sex, site or an image's size, as labels for a probe."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.audit import categories, names_samples
from analysis.measures.measure import QUERIES
from analysis.queries import read_query
from warehouse.catalogue import DatasetInfo, Warehouse, require_attribute
from warehouse.errors import LayerhouseError


@dataclass(frozen=True)
class Attribute:
    """One attribute of a dataset's samples: its value by sample_id, where there is one."""

    name: str
    values: dict[str, str | float]

    def labels(self) -> dict[str, tuple[int, str]]:
        """A number from 0 and what it stands for, by sample_id.

        Numbers of more than ten values lie in ten equal parts, as in an audit's shortcuts. Raises
        LayerhouseError for an attribute of one value, and for words that name single samples.
        """
        values = list(self.values.values())
        if len(set(values)) < 2:
            raise LayerhouseError(
                f"{self.name} has the same value everywhere, so there is nothing to be read"
            )
        if names_samples(values):
            raise LayerhouseError(
                f"{self.name} has nearly one value per image; a probe needs values that recur"
            )
        codes = categories(values)
        said = {code: _said([values[i] for i in np.flatnonzero(codes == code)]) for code in codes}
        return {
            name: (int(code), said[code]) for name, code in zip(self.values, codes, strict=True)
        }


def read_attribute(wh: Warehouse, info: DatasetInfo, name: str) -> Attribute:
    """An extra column of the manifest, or width, height, size or group_id of every sample.

    Raises UsageError with the nearest name for one that the dataset does not have.
    """
    query = read_query(QUERIES, "attribute")
    stored = wh.sql(query, {"dataset": info.dataset_id, "attribute": name}).fetchall()
    if stored:
        return Attribute(name, dict(stored))
    require_attribute(wh, info.dataset_id, name)
    samples = info.samples
    column = (samples["width"] * samples["height"]) if name == "size" else samples[name]
    return Attribute(name, dict(zip(samples["sample_id"], column.to_list(), strict=True)))


def _said(values: list[str | float]) -> str:
    """The value, or the range of a part: '12 to 45'."""
    if len(set(values)) == 1:
        return str(values[0])
    numbers = [float(value) for value in values]
    return f"{min(numbers):g} to {max(numbers):g}"
