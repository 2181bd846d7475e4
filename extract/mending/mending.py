"""`layerhouse mend`, the training of it: one repair of one stage becomes a folder that loads."""

from collections.abc import Callable

from extract.mending.crew import train_together
from extract.mending.job import Mended, MendRequest, look_up_mend, train
from extract.mending.recipe import MendEpoch
from extract.mending.repair import GradientRepair, Repair
from warehouse.errors import LayerhouseError
from warehouse.files import passing_folder
from warehouse.lake import Lake


def mend(
    lake: Lake,
    request: MendRequest,
    repair: Repair,
    on_epoch: Callable[[MendEpoch], None] = lambda _: None,
) -> Mended:
    """Train a repair on a dataset's train split, choose on val, and save it.

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
    if folder.is_dir() and any(folder.iterdir()):
        raise LayerhouseError(f"{folder} holds other files; give a new folder with --out")
    if not request.out.exists():
        request.out.mkdir(parents=True, exist_ok=True)
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
