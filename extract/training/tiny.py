"""Trains a tiny, real LLaVA from scratch to name the classes of one registered dataset.

    python -m extract.training.tiny --dataset digits --out extract/models/tiny-digits

The result is an ordinary model folder of transformers (`LlavaForConditionalGeneration`: a CLIP
tower read at its last layer but one, a two-layer connector, a Llama decoder, tokenizer, processor
and chat template) of less than 2 MB, so that everything Layerhouse does can be tried in seconds on
a model that really sees. Weights come from the train split alone; the val split chooses the epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import torch
import transformers

from extract.datasets import fingerprints_of, resolve
from extract.models import TRAINING_RECORD, build_prompt
from extract.sharing import images_hash
from extract.training.answers import Answers
from extract.training.building import build_model, build_processor
from extract.training.fitting import Epoch, best_epoch, fit
from extract.training.images import read_images
from extract.training.recipe import AUGMENTATIONS, Recipe, suggested_recipe
from extract.training.shares import with_share
from warehouse.catalogue import DatasetInfo, dataset, open_tables, refuse_changed
from warehouse.errors import LayerhouseError
from warehouse.files import permit_as_usual, write_at_once, write_json
from warehouse.images import open_image
from warehouse.lake import Lake


def train_tiny_model(
    lake: Lake,
    dataset_id: str,
    out: Path,
    recipe: Recipe | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
    share: float | None = None,
) -> list[Epoch]:
    """Trains on a registered dataset and saves the model folder to `out`, its record last.

    Reads the images of train and val only, or of whole groups that are this `share` of every class,
    whatever their split: the record says which, and `extract` leaves them out. Equal seeds give
    equal weights. Raises LayerhouseError where `out` holds something else than a model, a split is
    empty, or an image is another than the one registered.
    """
    if out.is_dir() and any(out.iterdir()) and not (out / TRAINING_RECORD).is_file():
        raise LayerhouseError(f"{out} holds other files; give a new folder for the model")
    with open_tables(lake) as warehouse:
        info = dataset(warehouse, dataset_id)
        info = info if share is None else with_share(info, share)
        used = info.samples.filter(info.samples["split"].is_in(["train", "val"]))
        refuse_changed(warehouse, dataset_id, used["sample_id"].to_list())
    recipe = recipe or suggested_recipe(info)
    phrases = [row.phrase for row in info.classes]
    question = build_prompt(phrases)
    processor = build_processor(question, phrases, recipe)
    train, val = (read_images(info, split, processor) for split in ("train", "val"))
    first = open_image(info.samples.filter(info.samples["split"] == "train")["uri"][0])
    answers = Answers(processor, question, phrases, first)
    with torch.random.fork_rng(devices=[]), _one_thread():
        torch.manual_seed(recipe.seed)
        model = build_model(processor.tokenizer, recipe)
        history = fit(model, answers, train, val, recipe, on_epoch)
    model.generation_config.max_new_tokens = answers.targets.shape[1]
    model.save_pretrained(out)
    processor.save_pretrained(out)
    for weights in out.glob("*.safetensors"):
        permit_as_usual(weights)
    record = _record(info, fingerprints_of(lake, dataset_id)[0], question, recipe, history)
    write_at_once(out / TRAINING_RECORD, lambda path: write_json(path, record))
    return history


@contextmanager
def _one_thread() -> Iterator[None]:
    """Matrices this small gain little from threads and lose much where the cores are busy; besides,
    sums are then taken in one order, so that the number of cores does not change the weights.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _record(
    info: DatasetInfo, fingerprint: str, question: str, recipe: Recipe, history: Sequence[Epoch]
) -> dict[str, Any]:
    best = best_epoch(history)
    parts = {
        split: info.samples.filter(info.samples["split"] == split)["sha256"]
        for split in ("train", "val")
    }
    used = {split: {"n": len(own), "sha256": images_hash(own)} for split, own in parts.items()}
    seen = info.samples.filter(info.samples["split"].is_in(["train", "val"]))["sha256"]
    return {
        "dataset": info.dataset_id,
        "dataset_fingerprint": fingerprint,
        "phrases": [row.phrase for row in info.classes],
        "question": question,
        "splits_used": used,
        "images": sorted(seen.str.slice(0, 16)),
        "recipe": asdict(recipe),
        "best_epoch": best.number,
        "train_loss": round(best.train_loss, 4),
        "val_loss": round(best.val_loss, 4),
        "val_accuracy": round(best.val_accuracy, 4),
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
    }


@click.command(help="Train a tiny LLaVA on a registered dataset or any source of one.")
@click.option("--dataset", "name", required=True, help="A registered dataset, or a path.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write.")
@click.option("--lake", default=None, help="The lake that holds the dataset.")
@click.option(
    "--share",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Train on whole groups, this share of every class, whatever their split; the rest is for "
    "folds.",
)
@click.option("--epochs", type=click.IntRange(min=1))
@click.option("--seed", type=int)
@click.option("--image-size", type=click.IntRange(min=16))
@click.option("--augment", type=click.Choice(AUGMENTATIONS))
@click.option("--learning-rate", type=click.FloatRange(min=0, min_open=True))
@click.option("--batch-size", type=click.IntRange(min=1))
def main(name: str, out: Path, lake: str | None, share: float | None, **given: Any) -> None:
    """The command line; options left out follow `suggested_recipe`."""
    transformers.logging.disable_progress_bar()
    place = Lake.at(lake)
    try:
        dataset_id = resolve(place, name, warn=_print_warning)
        with open_tables(place) as warehouse:
            info = dataset(warehouse, dataset_id)
        chosen = {key: value for key, value in given.items() if value is not None}
        recipe = suggested_recipe(info, **chosen)
        history = train_tiny_model(place, dataset_id, out, recipe, _print_epoch, share)
    except LayerhouseError as error:
        click.echo(f"Error: {error}", err=True)
        raise SystemExit(error.exit_code) from error
    best = best_epoch(history)
    print(f"{out}: epoch {best.number} is the best, with {best.val_accuracy:.3f} of val right")


def _print_warning(warning: str) -> None:
    click.echo(f"Warning: {warning}", err=True)


def _print_epoch(epoch: Epoch) -> None:
    print(
        f"epoch {epoch.number:3d}  train loss {epoch.train_loss:.3f}  "
        f"val loss {epoch.val_loss:.3f}  val accuracy {epoch.val_accuracy:.3f}  "
        f"{epoch.seconds:5.0f} s",
        flush=True,
    )


if __name__ == "__main__":
    main()
