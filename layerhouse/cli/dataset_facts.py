"""What `layerhouse datasets` says of one: in a line, as a page, as fields for a program."""

from __future__ import annotations

from collections.abc import Sequence
from shlex import quote
from typing import TYPE_CHECKING, Any

import click

from layerhouse.printing import print_table
from warehouse.vocabulary import SPLITS

if TYPE_CHECKING:
    from analysis.audit import AuditFinding
    from warehouse.catalogue import DatasetInfo


def listed(facts: dict[str, Any]) -> str:
    name = facts["dataset_id"]
    if not facts["is_registered"]:
        return f"{name}: built in, registered on first use"
    labels = facts["labels"]
    classes = f"{len(labels)} classes ({', '.join(labels)})" if labels else "no labels"
    return f"{name}: {facts['title']}, {facts['n_samples']:,} samples, {classes}"


def facts(
    info: DatasetInfo,
    power: tuple[float, float] | None,
    findings: Sequence[AuditFinding] | None,
) -> dict[str, Any]:
    samples, classes = info.samples, []
    for row in info.classes:
        own = samples.filter(samples["class_index"] == row.index)
        counts = {split: own.filter(own["split"] == split).height for split in SPLITS}
        classes.append(
            {"class_index": row.index, "label": row.label, "phrase": row.phrase, **counts}
        )
    least, likely = power or (None, None)
    return {
        "dataset_id": info.dataset_id,
        "title": info.title,
        "n_samples": samples.height,
        "n_groups": samples["group_id"].n_unique(),
        "evaluation": info.evaluation,
        "n_folds": info.n_folds,
        "score": info.score if info.classes else None,
        "pixel_rule": info.pixel_rule,
        "least_detectable_loss": least,
        "likely_detectable_loss": likely,
        "classes": classes,
        "findings": findings,
    }


def show_facts(facts: dict[str, Any], findings: Sequence[AuditFinding] | None) -> None:
    name, classes = facts["dataset_id"], facts["classes"]
    click.echo(f"{name}: {facts['title']}")
    rows = [[row["label"], row["phrase"], *(str(row[s]) for s in SPLITS)] for row in classes]
    print_table(["class", "phrase", *SPLITS], rows)
    click.echo(f"{facts['n_groups']:,} groups, {facts['n_samples']:,} samples")
    if facts["n_folds"]:
        click.echo(f"Evaluated by {facts['n_folds']} folds of whole groups: every sample is scored")
    if classes:
        click.echo(f"Score: {facts['score']}")
    if facts["least_detectable_loss"] is not None:
        click.echo(
            "The smallest loss that its test images can show (80% power) is of "
            f"{100 * facts['least_detectable_loss']:.0f} to "
            f"{100 * facts['likely_detectable_loss']:.0f} points: "
            f"`layerhouse power --dataset {quote(name)}`"
        )
    if facts["pixel_rule"]:
        click.echo(f"Pixel rule: {facts['pixel_rule']}")
    if findings is None:
        click.echo(f"Not audited yet: `layerhouse datasets audit {quote(name)}`")
    else:
        click.echo("Audit:")
        show_findings(findings)


def show_findings(findings: Sequence[AuditFinding]) -> None:
    for finding in findings:
        click.echo(f"- {finding.sentence}")
    if not findings:
        click.echo("Nothing was found.")
