from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from layerhouse import datasets
from layerhouse.cli.shared import lake_option, progress
from layerhouse.printing import print_table
from warehouse.errors import UsageError
from warehouse.lake import Lake
from warehouse.vocabulary import SPLITS

if TYPE_CHECKING:
    from extract.datasets import Summary


@click.group("datasets", short_help="Register labelled images, list and show what is there.")
def command() -> None:
    """Register labelled images once; every model is then run on the same samples and splits."""


@command.command("list")
@lake_option
def list_datasets(lake: Lake) -> None:
    """One line per dataset of the lake, and the built-in ones.

    \b
    layerhouse datasets list
    """
    from extract.datasets import offered, registered
    from warehouse.catalogue import connect, dataset

    known = registered(lake)
    for name in sorted({*known, *offered()}):
        if name not in known:
            click.echo(f"{name}: built in, registered on first use")
            continue
        with connect(lake) as warehouse:
            info = dataset(warehouse, name)
        click.echo(
            f"{name}: {info.title}, {len(info.samples):,} samples, "
            f"{len(info.classes)} classes ({', '.join(row.label for row in info.classes)})"
        )


@command.command("add")
@click.argument("name")
@click.argument("path")
@click.option("--title", help="A title for reports.")
@click.option("--licence", help="The licence of the images.")
@click.option(
    "--phrase",
    multiple=True,
    metavar="LABEL=PHRASE",
    help="How a class is spelled in the prompt; repeatable.",
)
@lake_option
def add_dataset(name: str, path: str, phrase: tuple[str, ...], **options: Any) -> None:
    """Register the labelled images at PATH as NAME.

    PATH is a folder of classes, a manifest (CSV or Parquet), a MedMNIST .npz, a DICOM folder or a
    Hugging Face dataset.

    \b
    layerhouse datasets add cells ./cells/manifest.csv --phrase WBC="white blood cell"
    """
    phrases = dict(map(_phrase, phrase))
    with progress(f"reading {name}") as told:
        result = datasets.add(name, path, phrase=phrases, progress=told, **options)
    for warning in result.warnings:
        click.echo(f"Warning: {warning}", err=True)
    sizes = ", ".join(f"{split} {size:,}" for split, size in result.split_sizes.items())
    if result.added:
        click.echo(f"Added {name}: {result.n_samples:,} samples of {result.n_classes} classes")
        click.echo(f"Splits: {sizes}")
        _show_summary(result.summary)
    else:
        click.echo(f"Nothing to do: {name} is in the lake already ({sizes}).")


def _show_summary(summary: Summary) -> None:
    print_table(
        ["class", "phrase", *SPLITS],
        (
            [row.label, row.phrase, *(f"{row.counts[s]:,}" for s in SPLITS)]
            for row in summary.classes
        ),
    )
    for what, said in summary.facts.items():
        click.echo(f"{what}: {said}")


def _phrase(text: str) -> tuple[str, str]:
    label, separator, phrase = text.partition("=")
    if not separator or not phrase.strip():
        raise UsageError(f"--phrase {text!r} is not of the form LABEL=PHRASE")
    return label, phrase.strip()


@command.command("show")
@click.argument("name")
@lake_option
def show_dataset(name: str, lake: Lake) -> None:
    """Classes and splits of one dataset.

    \b
    layerhouse datasets show digits
    """
    from warehouse.catalogue import connect, dataset

    with connect(lake) as warehouse:
        info = dataset(warehouse, name)
    click.echo(f"{info.dataset_id}: {info.title}")
    samples = info.samples
    rows = []
    for row in info.classes:
        own = samples.filter(samples["class_index"] == row.index)
        counts = [own.filter(own["split"] == split).height for split in SPLITS]
        rows.append([row.label, row.phrase, *map(str, counts)])
    print_table(["class", "phrase", *SPLITS], rows)
    click.echo(f"{samples['group_id'].n_unique():,} groups, {samples.height:,} samples")
