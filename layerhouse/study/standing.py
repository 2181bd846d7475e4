"""Where a study stands: which steps the lake and the journal know to be done, and what of cells."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from contextlib import chdir
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from layerhouse.study.journal import Journal, StepRecord
from layerhouse.study.planning import (
    BASE_ID,
    MODEL_ID,
    PROMPTS,
    StudyCell,
    StudyStep,
    named_of,
)
from layerhouse.study.reading import Study
from warehouse.errors import LayerhouseError, UsageError
from warehouse.lake import Lake

if TYPE_CHECKING:
    from warehouse.status import PairStatus, StatusReport

CHANGING = ("adapter", "random_weights", "quantization", "device_map", "fault")
"""Options of `extract` that make another model of one."""
OF_THE_COMMAND = ("lake", "dry_run", "skip_bad")
"""Options of the command `extract` that say nothing of what is extracted."""
AGAIN = ("compare", "report", "figures", "publish")
"""Steps that look at all that is there, so that they are run each time."""


@dataclass
class Ground:
    """A study's lake and journal, and the ids that the lake gives its models.

    `options` has those of every step by its name, as the command line reads them.
    """

    study: Study
    lake: Lake
    journal: Journal
    options: Mapping[str, Mapping[str, Any]]
    _ids: dict[str, str] = field(default_factory=dict)

    def record(self, step: StudyStep) -> StepRecord | None:
        """What came of a step, if it was this command on this lake."""
        found = self.journal.read(step.name)
        asked, lake = self.arguments(step), str(self.lake)
        same = found is not None and found.lake == lake and found.command == asked
        return found if same else None

    def model_id(self, cell: StudyCell | None) -> str | None:
        """The id of a cell's model; None for one whose files are not on this machine yet."""
        found = None if cell is None else self._look(cell)
        return found if isinstance(found, str) else None

    def obstacle(self, cell: StudyCell) -> LayerhouseError | None:
        """Why the id of a cell's model is not known; None where it is."""
        found = self._look(cell)
        return None if isinstance(found, str) else found

    def _look(self, cell: StudyCell) -> str | LayerhouseError:
        """The id, which is kept, or what stands in the way, which may have gone the next time."""
        from extract.sharing import meant_model_id

        if str(cell) in self._ids:
            return self._ids[str(cell)]
        options = self.options[named_of("extract", cell)]
        changes = {name: options[name] for name in CHANGING}
        try:
            with chdir(self.study.folder):
                self._ids[str(cell)] = meant_model_id(cell.model.model, **changes)
        except LayerhouseError as error:
            return error
        return self._ids[str(cell)]

    def extraction(self, step: StudyStep) -> dict[str, Any]:
        """What the function `extract` takes for the same as a step that extracts."""
        asked = {k: v for k, v in self.options[step.name].items() if k not in OF_THE_COMMAND}
        return asked | {"lake": self.lake}

    def arguments(self, step: StudyStep) -> tuple[str, ...]:
        """A step's, with the models' ids in the places that are held for them where known."""
        ids = {MODEL_ID: self.model_id(step.cell), BASE_ID: self.model_id(step.base)}
        return tuple(ids.get(each) or each for each in step.arguments)

    def text(self, step: StudyStep) -> str:
        """A step's command, as somebody would type it in the study's folder."""
        names = {MODEL_ID: self._called(step.cell), BASE_ID: self._called(step.base)}
        words = (names.get(each, each) for each in self.arguments(step))
        return shlex.join(("layerhouse", *words, "--lake", str(self.lake)))

    def _called(self, cell: StudyCell | None) -> str:
        """What a model is called as far as that is known before its files are here."""
        if cell is None:
            return ""
        options = self.options[named_of("extract", cell)]
        changed = any(options[name] not in (None, ()) for name in CHANGING)
        return f"{cell.model.model}+…" if changed else cell.model.model

    def refresh(self) -> StudyStanding:
        """What the lake holds now."""
        from warehouse.status import status

        return StudyStanding(self, status(self.lake) if _lies_there(self.lake) else None)


@dataclass
class StudyStanding:
    """What a lake held at one moment; None where there was none yet."""

    ground: Ground
    report: StatusReport | None

    @cached_property
    def _pairs(self) -> Mapping[tuple[str, str], PairStatus]:
        pairs = self.report.pairs if self.report is not None else []
        return {(pair.model_id, pair.dataset_id): pair for pair in pairs}

    def n_samples(self, dataset: str) -> int | None:
        """How many images a dataset has; None for one that is not registered yet."""
        found = self.report.datasets if self.report is not None else []
        return next((each.n_samples for each in found if each.dataset_id == dataset), None)

    def pair(self, cell: StudyCell) -> PairStatus | None:
        model_id = self.ground.model_id(cell)
        return self._pairs.get((str(model_id), cell.dataset.dataset))

    def is_done(self, step: StudyStep) -> bool:
        """Whether the journal says so of this very command, and the lake still has what it made.

        What is extracted must be of the model as it is now, and all of it. Whether a dataset's
        images are still those that were registered, and whether its baselines are there as they
        would be trained now, their commands look each time.
        """
        record = self.ground.record(step)
        if step.cell is None or step.kind in AGAIN or record is None or not record.went_well:
            return False
        pair = self.pair(step.cell)
        if pair is None:
            return False
        if step.kind in ("extract", PROMPTS):
            return self._is_extracted(step)
        if step.kind == "probe":
            return bool(pair.probes) and not any(extent.n_unprobed for extent in pair.extents)
        return pair.diagnosis == "fresh"

    def _is_extracted(self, step: StudyStep) -> bool:
        from layerhouse.functions import is_extracted

        try:
            with chdir(self.ground.study.folder):
                return is_extracted(**self.ground.extraction(step))
        except LayerhouseError:  # which the command will tell
            return False


def _lies_there(lake: Lake) -> bool:
    try:
        lake.require()
    except UsageError:
        return False
    return True
