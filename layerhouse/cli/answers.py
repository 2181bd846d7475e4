from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from layerhouse import answers
from layerhouse.cli.shared import (
    dataset_option,
    lake_option,
    model_option,
    progress,
    trained_on_option,
)
from warehouse.errors import UsageError, nearest
from warehouse.lake import Lake
from warehouse.vocabulary import FINISHES, LENGTH, STOP

if TYPE_CHECKING:
    from extract.answers import Judged, Reparsed
    from extract.replies import ClassNames

EXAMPLES = 5
"""Changed readings that are shown of each model and dataset."""
SHOWN = 100
"""Characters of a reply that are shown."""


@click.group("answers", short_help="Answers: import, export, read anew; how a reply is read.")
def command() -> None:
    """What models answered: brought from elsewhere, written out, and how replies are read."""


@command.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@model_option("Whose answers they are: a model of the lake or registry, or another with --title.")
@dataset_option("A dataset in the lake.")
@click.option("--name", help="The method is imported:NAME.  [default: the harness, or the file]")
@click.option("--title", help="What a model is called that neither lake nor registry knows.")
@click.option(
    "--column",
    multiple=True,
    metavar="MEANING=COLUMN",
    help="Which column is the sample, reply, label, options, question, scores, finish or tokens "
    "(none: there is no such column); repeatable.",
)
@click.option(
    "--letters", is_flag=True, help="A, B, … in replies stand for the classes, in their order."
)
@click.option("--skip-unknown", is_flag=True, help="Leave out rows that name no sample.")
@trained_on_option("What the model saw in training, as for extract; repeatable.")
@click.option("--encoding", help="That of a CSV file, such as latin-1.  [default: UTF-8]")
@click.option("--delimiter", help="What separates the cells of a CSV file: semicolon, tab, ….")
@lake_option
def import_file(file: Path, column: tuple[str, ...], **options: Any) -> None:
    """Add what another harness had a model answer, as a method of its own beside our runs.

    FILE is JSON, JSON lines, CSV, TSV or Parquet with a row for each sample: its id or file name, a
    reply, and scores per class if there are any. What lm-evaluation-harness, lmms-eval, VLMEvalKit
    and MedEvalKit write is known. Replies are read by the rules of `answers explain`; labels in the
    file must be those of the dataset.

    \b
    layerhouse answers import replies.jsonl --model gpt-x --title "GPT-X (May)" --dataset cells
    layerhouse answers import samples_cells.jsonl --model lingshu-7b --dataset cells
    """
    named = dict(_assigned(one) for one in column)
    summary = answers.import_(file, column=named, **options)
    for note in summary.notes:
        click.echo(note)
    what = f"{summary.method} of {summary.model_id} on {summary.dataset_id}"
    if not summary.added:
        click.echo(f"Nothing to do: {what} is in the lake already ({summary.run_id}).")
        return
    click.echo(
        f"Imported {what}: {summary.n:,} answers, {summary.n_parsed:,} of which name a class "
        f"({summary.run_id})"
    )


def _assigned(typed: str) -> tuple[str, str]:
    role, sign, name = typed.partition("=")
    if not sign or not name:
        raise UsageError(f"--column {typed} names no column; say it as --column reply=prediction")
    return role, name


@command.command("export")
@model_option("A model in the lake.")
@dataset_option("A dataset in the lake.")
@click.option("--method", help="Only answers of this method.  [default: all]")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="A .jsonl, .csv or .tsv file."
)
@lake_option
def export_file(model: str, dataset: str, method: str | None, out: Path, lake: Lake) -> None:
    """Write a model's answers to a file, one row each, in columns that `answers import` knows.

    \b
    layerhouse answers export --model tiny-digits --dataset digits --method generate --out a.jsonl
    """
    n = answers.export(model, dataset, out, method=method, lake=lake)
    click.echo(f"Wrote {n:,} answers of {model} on {dataset} to {out}")


@command.command("reparse")
@model_option("Only this model's replies.  [default: all]", required=False)
@dataset_option("Only replies about this dataset.  [default: all]", required=False)
@click.option(
    "--judge",
    metavar="FOLDER",
    help="Have a model that reads text say what replies name, as the method judged:NAME.",
)
@click.option("--device", help="The judge's: cpu, cuda, cuda:1, …  [default: auto]")
@click.option("--dry-run", is_flag=True, help="Say what would read otherwise and store nothing.")
@lake_option
def reparse(judge: str | None, **options: Any) -> None:
    """Read every stored reply anew, since the rules of reading improve; no model is run.

    What reads otherwise takes the place of the old reading; the replies stay as they are. With
    --judge the readings by rules stay too: beside them stands what a model makes of the replies,
    weighing every class and that there is no answer. It judges what it has not judged yet.

    \b
    layerhouse answers reparse --dry-run
    layerhouse answers reparse --model tiny-digits --dataset digits
    layerhouse answers reparse --judge ./qwen2.5-1.5b-instruct
    """
    if judge is not None:
        with progress(f"judge {Path(judge).name}") as told:
            for made in answers.reparse(judge=judge, progress=told, **options):
                _show_judged(made)
        return
    read = answers.reparse(**options)
    for one in read:
        _show(one)
    stored = "would read" if options["dry_run"] else "read"
    n, changed = sum(one.n for one in read), sum(len(one.changes) for one in read)
    click.echo(f"{changed:,} of {n:,} replies {stored} otherwise")


def _show_judged(one: Judged) -> None:
    run = f" ({one.run_id})" if one.run_id else ""
    what = f"{one.model_id} on {one.dataset_id}"
    if not one.n:
        click.echo(f"Nothing to do: {one.judge} has judged the replies of {what}.")
        return
    click.echo(
        f"{what}: {one.judge} judged {one.n - one.n_cut:,} replies, {one.n_named:,} of which name "
        f"a class; {one.n_other:,} read otherwise than by the rules{run}"
    )
    if one.n_cut:
        click.echo(f"  {one.n_cut:,} were cut, which are not judged and stay truncated")
    if one.n_shortened:
        click.echo(f"  {one.n_shortened:,} were longer than {one.judge} reads: their ends counted")
    if one.n_tied:
        click.echo(f"  {one.n_tied:,} are ties between answers, which name no class")


def _show(one: Reparsed) -> None:
    if not one.changes:
        return
    kinds = Counter((change.before, change.after) for change in one.changes)
    run = f" ({one.run_id})" if one.run_id else ""
    click.echo(f"{one.model_id} on {one.dataset_id}: {len(one.changes):,} of {one.n:,}{run}")
    for (before, after), n in kinds.most_common():
        click.echo(f"  {n:,} × {before or 'no answer'} → {after or 'no answer'}")
    for change in one.changes[:EXAMPLES]:
        reply = " ".join(change.reply.split())
        shown = reply if len(reply) <= SHOWN else f"{reply[: SHOWN - 1]}…"
        click.echo(
            f"  {change.sample_id}, {change.method}: {change.before or 'no answer'} → "
            f"{change.after or 'no answer'}: {shown!r}"
        )


@command.command("explain")
@click.option(
    "--class",
    "labels",
    metavar="NAME",
    multiple=True,
    required=True,
    help="A class, in the order of the question; repeatable.",
)
@click.option(
    "--phrase",
    "phrases",
    metavar="NAME=PHRASE",
    multiple=True,
    help="What a class is also called; repeatable.",
)
@click.option("--reply", required=True, metavar="TEXT", help="What the model wrote.")
@click.option(
    "--letters/--no-letters",
    default=True,
    show_default=True,
    help="Whether the question listed the classes as A, B, C …",
)
@click.option(
    "--finish",
    type=click.Choice(FINISHES),
    default=STOP,
    show_default=True,
    help="Why the reply ended: length where its budget of new tokens cut it.",
)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
def explain(
    labels: tuple[str, ...],
    phrases: tuple[str, ...],
    reply: str,
    letters: bool,
    finish: str,
    form: str,
) -> None:
    """Say which class a reply names, by the rules that every stored reply is read by, and why.

    \b
    layerhouse answers explain --class normal --class pneumonia --reply "No sign of pneumonia."
    layerhouse answers explain --class 0 --class 1 --phrase 0=healthy --reply "Healthy."
    layerhouse answers explain --class cat --class dog --finish length --reply "A cat or"
    """
    from extract.replies import read_reply

    cut = finish == LENGTH
    reading = read_reply(reply, _classes(labels, phrases), letters=letters, cut=cut)
    named = None if reading.index is None else labels[reading.index]
    if form == "json":
        click.echo(json.dumps({"class": named, "why": reading.why}, ensure_ascii=False))
    else:
        click.echo(f"{named or 'no answer'}: {reading.why}")


def _classes(labels: tuple[str, ...], phrases: tuple[str, ...]) -> list[ClassNames]:
    """The names of every class; a label may itself hold an equals sign, as "<=5 mm" does."""
    from extract.replies import ClassNames

    if len(set(labels)) < len(labels):
        raise UsageError("a class is named twice; give each --class once")
    called = {label: label for label in labels}
    for phrase in phrases:
        label = max(
            (name for name in labels if phrase.startswith(f"{name}=")), key=len, default=None
        )
        if label is None:
            name = phrase.partition("=")[0]
            raise UsageError(f"--phrase {phrase!r} names no --class{nearest(name, labels)}")
        called[label] = phrase[len(label) + 1 :]
    return [ClassNames(label, phrase) for label, phrase in called.items()]
