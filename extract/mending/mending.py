"""`layerhouse mend`, the training of it: one repair of one stage becomes a folder that loads."""

from collections.abc import Callable
from dataclasses import replace
from statistics import fmean

from extract.mending.crew import train_together
from extract.mending.job import (
    Mended,
    MendJob,
    MendRequest,
    look_up_mend,
    telling_unsaved,
    train,
    write_record,
)
from extract.mending.recipe import MendEpoch, best_epoch
from extract.mending.repair import GradientRepair, Repair
from extract.models import fold_folder
from warehouse.errors import LayerhouseError
from warehouse.files import has_writer, passing_folder
from warehouse.lake import Lake


def mend(
    lake: Lake,
    request: MendRequest,
    repair: Repair,
    on_epoch: Callable[[MendEpoch], None] = lambda _: None,
) -> Mended:
    """Train a repair on a dataset's train split, choose on val, and save it; under folds one for
    each of them.

    A folder that holds it already, of the same model, dataset, question and recipe, is taken as it
    is, and the training of one that was stopped goes on behind its last whole epoch. What the lake
    holds of the model must have been extracted as it is asked for here, in the same numbers and
    under the same prompt. What is learned step by step is learned by all workers of the request.
    Raises UsageError for what cannot be trained (packed weights, faults of activations),
    LayerhouseError for a folder that holds something else and a dataset without train or val.
    """
    work = look_up_mend(lake, request, repair)
    folder = work.folder
    if found := work.found():
        work.unfinished.remove()  # of one who trained the same at the same time, and was killed
        return found
    if work.is_by_fold:
        return _by_fold(lake, request, work, on_epoch)
    if folder.is_dir() and any(folder.iterdir()):
        raise LayerhouseError(f"{folder} holds other files; give a new folder with --out")
    if not folder.parent.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
    if has_writer(folder):
        work.unfinished.refuse_other()
    # One of our own beside it: somebody else may be training the same, and what cannot be written
    # is told before anything is trained.
    with passing_folder(folder) as partial:
        if request.workers > 1 and isinstance(repair, GradientRepair):
            done = train_together(lake, request, repair, partial, on_epoch)
        else:
            done = train(work, request.recipe, partial, on_epoch)
        if not (found := work.found()):
            partial.rename(folder)
    work.unfinished.remove()
    return found or done


def _by_fold(
    lake: Lake, request: MendRequest, work: MendJob, on_epoch: Callable[[MendEpoch], None]
) -> Mended:
    """A repair for each fold, each in a folder of its own; the record that makes the whole of them
    comes last. A fold whose training helps nothing is answered by the model as it is.
    """
    folds, recipe = range(work.job.info.n_folds or 0), request.recipe
    if work.folder.is_dir() and any(
        not path.name.lstrip(".").startswith(fold_folder("")) for path in work.folder.iterdir()
    ):
        raise LayerhouseError(f"{work.folder} holds other files; give a new folder with --out")
    parts = [mend(lake, replace(request, fold=fold), work.repair, on_epoch) for fold in folds]
    done = Mended(
        work.repair,
        work.folder,
        max(part.n_parameters for part in parts),
        _joined([part.history for part in parts]),
        was_there=False,
        n_train=min(part.n_train or 0 for part in parts),
    )
    helping = [part.folder.name if part.best.number else None for part in parts]
    with telling_unsaved(work.folder):
        write_record(work.folder, work, recipe, done, {"folds": helping})
    return done


def _joined(histories: list[list[MendEpoch]]) -> list[MendEpoch]:
    """Before, and the best epoch of each fold: means over folds, the time that all took."""
    seconds = sum(history[-1].seconds for history in histories)
    chosen = {0: [history[0] for history in histories]}
    best = [best_epoch(history) for history in histories]
    chosen[max(epoch.number for epoch in best)] = best  # where nothing helps they are the same
    return [
        MendEpoch(
            number,
            None,
            fmean(epoch.val_score for epoch in epochs),
            fmean(epoch.val_loss for epoch in epochs),
            seconds,
        )
        for number, epochs in chosen.items()
    ]
