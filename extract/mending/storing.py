"""What the lake keeps of a repair that was trained."""

from __future__ import annotations

from typing import Any

from extract.mending.job import COMMAND, Mended, training_of
from extract.mending.recipe import MendRecipe
from extract.mending.repair import Repair
from extract.sharing import Job
from warehouse.catalogue import dataset, open_tables
from warehouse.lake import Lake, RunSpec, RunWriter
from warehouse.vocabulary import NO_CONTROL, SHUFFLED_LABELS


def store_mended(lake: Lake, job: Job, recipe: MendRecipe, mended: Mended, model_id: str) -> None:
    """The row of `mend` of the repaired model, unless it is there: what was trained on how many
    samples, and how it did on val."""
    with open_tables(lake) as wh:
        held = wh.sql(
            "FROM mend WHERE model_id = $1 AND dataset_id = $2", [model_id, job.dataset_id]
        ).fetchall()
        info = dataset(wh, job.dataset_id)
    if held:
        return
    before, best = mended.history[0], mended.best
    n_train = int((info.samples["split"] == "train").sum())
    row = {
        "model_id": model_id,
        "base_model_id": job.model_id,
        "dataset_id": job.dataset_id,
        "stage": mended.repair.stage,
        "repair": mended.repair.name,
        "control": SHUFFLED_LABELS if recipe.shuffled else NO_CONTROL,
        "n_parameters": mended.n_parameters,
        "n_train": mended.n_train or min(recipe.images or n_train, n_train),
        "n_epochs": mended.history[-1].number,
        "best_epoch": best.number,
        "val_score_before": before.val_score,
        "val_score": best.val_score,
        "val_loss_before": before.val_loss,
        "val_loss": best.val_loss,
        "score": info.score,
        "seconds": mended.history[-1].seconds,
    }
    told = {"training": training_of(job, recipe)}
    config = {"base": job.model_id, "repair": mended.repair.title, **told}
    with _writer(lake, job, model_id, config) as writer:
        writer.commit({"mend": [row]}, covers={"repair": mended.repair.title})
        writer.finish()


def note_useless(lake: Lake, job: Job, recipe: MendRecipe, repair: Repair) -> None:
    """That a repair was tried in vain stays known, by a run of the model itself without rows."""
    if recipe.shuffled:
        return
    config = {"base": job.model_id, "repair": repair.title, "helps": False}
    with _writer(lake, job, job.model_id, config) as writer:
        writer.finish()


def _writer(lake: Lake, job: Job, model_id: str, config: dict[str, Any]) -> RunWriter:
    spec = RunSpec(COMMAND, model_id, job.dataset_id, config, job.device)
    return RunWriter(lake, spec, frozenset(lake.store.commit_names()))
