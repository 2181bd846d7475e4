from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from layerhouse import datasets
from layerhouse.cli.dataset_facts import facts, listed, show_facts, show_findings
from layerhouse.cli.shared import (
    Word,
    due_after_score,
    format_option,
    lake_option,
    progress,
    removal_options,
    show_removal,
)
from layerhouse.printing import print_json, print_table
from warehouse.errors import UsageError
from warehouse.lake import Lake
from warehouse.vocabulary import SCORES, SPLITS

if TYPE_CHECKING:
    from extract.datasets import AddResult, Folded, Summary


@click.group("datasets", short_help="Register labelled images, list, show and remove them.")
def command() -> None:
    """Register labelled images once; every model is then run on the same samples and splits."""


@command.command("list")
@format_option
@lake_option
def list_datasets(form: str, lake: Lake) -> None:
    """One line per dataset of the lake, and the built-in ones.

    \b
    layerhouse datasets list
    """
    from extract.datasets import offered, registered
    from warehouse.catalogue import connect, dataset

    known, found = registered(lake), []
    for name in sorted({*known, *offered()}):
        one: dict[str, Any] = {"dataset_id": name, "is_registered": name in known}
        if name in known:
            with connect(lake) as warehouse:
                info = dataset(warehouse, name)
            labels = [row.label for row in info.classes]
            one |= {"title": info.title, "n_samples": len(info.samples), "labels": labels}
        found.append(one)
    if form == "json":
        print_json({"datasets": found})
        return
    for one in found:
        click.echo(listed(one))


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
@click.option(
    "--column",
    multiple=True,
    metavar="MEANING=COLUMN",
    help="Which column of a table is the image_path, label, split or group_id (none: there is no "
    "such column); label may be several, A,B,C, of one finding each; repeatable.",
)
@click.option("--per-label", is_flag=True, help="One yes/no dataset per finding, NAME_finding.")
@click.option(
    "--label-separator",
    metavar="TEXT",
    help="What separates several labels of a cell; none: a cell is one label.  [default: | and ; "
    "are recognised]",
)
@click.option(
    "--missing",
    type=Word("meaning", ("skip", "no")),
    help="What no label means: skip the image, or no such finding.  [default: an error]",
)
@click.option(
    "--uncertain",
    type=Word("meaning", ("skip", "no", "yes")),
    help="What a label of -1 means, as CheXpert has it.  [default: an error]",
)
@click.option("--encoding", help="That of a CSV file, such as latin-1.  [default: UTF-8]")
@click.option("--delimiter", help="What separates the cells of a CSV file: semicolon, tab, ….")
@click.option("--images", metavar="FOLDER", help="Where a table's paths start.  [its folder]")
@click.option("--unlabelled", is_flag=True, help="Images without labels, for extraction alone.")
@click.option("--frame", metavar="N|middle|all", help="Which of several frames, pages or slices.")
@click.option(
    "--range",
    metavar="LOW,HIGH",
    help="Stored values shown black and white, where there are more than 8 bits; with %, "
    "percentiles of train.  [default: DICOM by its window, others by the smallest depth that holds "
    "all values]",
)
@click.option("--window", metavar="CENTER,WIDTH", help="The same as a window, as in DICOM.")
@click.option(
    "--background", metavar="COLOUR", help="What transparent parts lie on.  [default: black]"
)
@click.option(
    "--preview",
    metavar="FILE.png",
    help="Write a sheet of images of each class, as models see them.",
)
@click.option("--folds", type=int, help="Evaluate by folds (at least 3), not by a test split.")
@click.option(
    "--score",
    type=Word("score", SCORES),
    help="What everything on it rests on.  [default: balanced_accuracy where a class holds more "
    "than 1.25 times its even share]",
)
@click.option("--skip-bad", is_flag=True, help="Leave out images that are missing or damaged.")
@click.option(
    "--rejected", metavar="FILE.csv", help="List all images that cannot be used, and why."
)
@click.option(
    "--plain-patient-ids", is_flag=True, help="Keep DICOM's PatientIDs; they are hashed otherwise."
)
@lake_option
def add_dataset(
    name: str, path: str, phrase: tuple[str, ...], column: tuple[str, ...], **options: Any
) -> None:
    """Register the labelled images at PATH as NAME.

    PATH is a folder of classes, a table of images (CSV, Parquet or JSON), COCO, a MedMNIST .npz, a
    DICOM folder or a Hugging Face dataset.

    \b
    layerhouse datasets add cells ./cells/manifest.csv --phrase WBC="white blood cell"
    layerhouse datasets add cxr ./Data_Entry.csv --column image_path="Image Index" --per-label
    """
    options["phrase"] = dict(_pair(text, "--phrase", "LABEL=PHRASE") for text in phrase)
    options["column"] = dict(_pair(text, "--column", "MEANING=COLUMN") for text in column)
    with progress(f"reading {name}") as told:
        found = datasets.add(name, path, progress=told, **options)
    results = found if isinstance(found, list) else [found]
    for warning in dict.fromkeys(warning for result in results for warning in result.warnings):
        click.echo(f"Warning: {warning}", err=True)
    for result in results:
        _show_added(result)
        if options["folds"] is not None:
            _show_folds(
                datasets.fold(result.dataset_id, folds=options["folds"], lake=options["lake"])
            )


def _show_added(result: AddResult) -> None:
    name = result.dataset_id
    sizes = ", ".join(f"{split} {size:,}" for split, size in result.split_sizes.items())
    if result.added:
        classes = f"of {result.n_classes} classes" if result.n_classes else "without labels"
        click.echo(f"Added {name}: {result.n_samples:,} samples {classes}")
        click.echo(f"Splits: {sizes}")
        _show_summary(result.summary)
    else:
        click.echo(f"Nothing to do: {name} is in the lake already ({sizes}).")


def _show_summary(summary: Summary) -> None:
    rows = [
        [row.label, row.phrase, *(f"{row.counts[s]:,}" for s in SPLITS)] for row in summary.classes
    ]
    if rows:
        print_table(["class", "phrase", *SPLITS], rows)
    for what, said in summary.facts.items():
        click.echo(f"{what}: {said}")


def _pair(text: str, option: str, form: str) -> tuple[str, str]:
    left, separator, right = text.partition("=")
    if not separator or not left.strip() or (option == "--phrase" and not right.strip()):
        raise UsageError(f"{option} {text!r} is not of the form {form}")
    return left, right.strip()


@command.command("fold")
@click.argument("name")
@click.option("--folds", type=int, required=True, help="How many; at least 3, usually 5.")
@click.option("--into", metavar="NEW", help="Leave NAME as it is and register NEW beside it.")
@lake_option
def fold_dataset(name: str, **options: Any) -> None:
    """Evaluate the dataset NAME by folds: every sample is scored, not the test split alone.

    Probes and baselines predict each sample without having seen its group. Answers are those of a
    model that was not trained on these images. What was extracted stays.

    \b
    layerhouse datasets fold digits --folds 5 --into digits-folds
    """
    _show_folds(datasets.fold(name, **options))


def _show_folds(folded: Folded) -> None:
    fewest, most = folded.sizes
    click.echo(
        f"{folded.dataset_id}: all {folded.n_samples:,} samples are scored, in {folded.n_folds} "
        f"folds of {fewest:,} to {most:,} ({folded.n_groups:,} groups, each whole)"
    )


@command.command("score")
@click.argument("name")
@click.argument("score", type=Word("score", SCORES))
@lake_option
def score_dataset(name: str, score: str, lake: Lake) -> None:
    """Rest everything on the dataset NAME on accuracy or balanced_accuracy.

    Every number follows at once; probes and baselines fitted for the other score stand in until
    `layerhouse probe` and `baseline` were run, and verdicts are open until `diagnose` was.

    \b
    layerhouse datasets score digits balanced_accuracy
    """
    if not datasets.score(name, score, lake=lake):
        click.echo(f"Nothing to do: {name} rests on {score} already.")
        return
    steps = due_after_score(lake, name, score)
    click.echo(f"{name} now rests on {score}{'; run:' if steps else ''}")
    for step in steps:
        click.echo(f"  {step}")


@command.command("audit")
@click.argument("name")
@click.option("--unite", is_flag=True, help="Make one group of the groups of near-duplicates.")
@click.option(
    "--into",
    metavar="NEW",
    help="With --unite, leave NAME as it is and register NEW, each group in one split.",
)
@format_option
@lake_option
def audit_dataset(name: str, form: str, **options: Any) -> None:
    """Look for what is wrong with the images of the dataset NAME.

    Near-duplicates in two splits, groups or labels, blank images, splits too small to say much,
    facts that alone read the class (size, brightness, file type, attributes, …), and labels that
    every probe, baseline and answer speaks against.

    \b
    layerhouse datasets audit digits
    """
    with progress(f"auditing {name}") as told:
        result = datasets.audit(name, progress=told, **options)
    if form == "json":
        print_json(result)
        return
    if options["unite"]:
        click.echo(
            f"{result.dataset_id}: groups joined to another: {result.n_joined:,}; "
            f"samples moved to the split of their group: {result.n_moved:,}"
        )
    click.echo(
        f"{result.n_compared:,} of {result.n_samples:,} images of {result.dataset_id} were compared"
        " with each other (not blank, no second copy, at least 24 pixels each way)"
    )
    if result.n_compared:
        click.echo(MAY_BE_MISSED)
    show_findings(result.findings)
    if result.not_judged:
        click.echo(f"Not held against the class: {result.not_judged}")


MAY_BE_MISSED = (
    "Copies that were scaled, compressed, brightened, mirrored or cut by up to 5% are found; those "
    "turned or shifted with black coming in at the rim, or cut by more, may be missed"
)


@command.command("show")
@click.argument("name")
@click.option("--preview", metavar="FILE.png", help="Write a sheet of images of each class.")
@format_option
@lake_option
def show_dataset(name: str, preview: str | None, form: str, lake: Lake) -> None:
    """Classes and splits of one dataset.

    \b
    layerhouse datasets show digits --preview digits.png
    """
    from analysis.audit import read_findings
    from extract.datasets import preview as write_preview
    from warehouse.catalogue import connect, dataset

    with connect(lake) as warehouse:
        info = dataset(warehouse, name)
        findings = read_findings(warehouse, name)
        shown = warehouse.sql(
            "SELECT least_detectable_loss, likely_detectable_loss FROM dataset_power "
            "WHERE dataset_id = $1",
            [name],
        ).fetchall()
    told = facts(info, shown[0] if shown else None, findings)
    if form == "json":
        print_json(told)
    else:
        show_facts(told, findings)
    if preview:
        write_preview(lake, [name], preview)


@command.command("remove")
@click.argument("name")
@click.option("--sample", multiple=True, help="Only this sample of it; repeatable.")
@click.option(
    "--group", multiple=True, help="Only the samples of this group, a patient; repeatable."
)
@removal_options
def remove_dataset(
    name: str, sample: Sequence[str], group: Sequence[str], form: str, **options: Any
) -> None:
    """Take the dataset NAME out of the lake; it may then be added anew, with other content.

    What was extracted from it and found out on it goes with --with-dependents. Its files stay until
    `layerhouse status --free` deletes them; your images are never touched. With --sample or --group
    only these samples go, for good, and the rest stays; what was fitted or counted over all samples
    goes with --with-dependents.

    \b
    layerhouse datasets remove cells --with-dependents --dry-run
    layerhouse datasets remove cells --group patient-0a1b2c3d4e5f --with-dependents
    """
    removed = datasets.remove(name, sample=sample or None, group=group or None, **options)
    show_removal(removed, form, options)
