"""The built-in digits, which come with scikit-learn."""

from __future__ import annotations

from extract.datasets.source import Contents, DatasetSource, Item
from warehouse.images import DIGITS_SCHEME, digit_arrays

LABELS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


class Digits(DatasetSource):
    """The 1,797 handwritten digits that scikit-learn ships, 8 × 8 pixels, ten classes."""

    offers = ("digits",)

    def recognises(self, typed: str) -> bool:
        return typed in self.offers

    def read(self, typed: str) -> Contents:
        _, labels = digit_arrays()
        items = [
            Item(f"digits/{index:04d}", f"{DIGITS_SCHEME}{index}", LABELS[int(label)])
            for index, label in enumerate(labels)
        ]
        return Contents(
            location="sklearn-digits",
            items=items,
            title="Handwritten digits (UCI optical recognition, as shipped with scikit-learn)",
            licence="CC BY 4.0",
            labels=LABELS,
        )

    def default_name(self, typed: str) -> str:
        return typed
