from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from layerhouse import models
from layerhouse.cli.shared import (
    dataset_option,
    format_option,
    lake_option,
    removal_options,
    show_removal,
    shown_prompt,
)
from layerhouse.functions import refuse_unknown_to_run
from layerhouse.printing import document, print_json, print_table
from warehouse.errors import UsageError
from warehouse.lake import Lake

if TYPE_CHECKING:
    from extract.models import Verification


@click.group("models", short_help="The models known by name: list, show, verify; remove.")
def command() -> None:
    """The models Layerhouse knows by name; any local folder or hub id works as well."""


@command.command("list")
@click.argument("pattern", default="*")
@format_option
def list_models(pattern: str, form: str) -> None:
    """A table of the models whose name matches PATTERN (shell wildcards).

    \b
    layerhouse models list
    layerhouse models list "*7b*"
    """
    from extract.models import matching_entries

    if form == "json":
        print_json({"models": list(matching_entries(pattern))})
        return
    rows = [
        [
            entry.name,
            entry.family or "–",
            f"{entry.parameters:.2f}B" if entry.parameters else "–",
            _size(entry.vision),
            _size(entry.llm),
            entry.licence + (" (gated)" if entry.gated else ""),
            "yes" if entry.paper else "",
            entry.load if entry.verified else f"{entry.load}, facts unverified",
        ]
        for entry in matching_entries(pattern)
    ]
    header = ["name", "family", "size", "vision", "llm", "licence", "paper", "status"]
    print_table(header, rows)


def _size(size: tuple[int, int] | None) -> str:
    return "–" if size is None else f"{size[0]} × {size[1]}"


@command.command("show")
@click.argument("name")
@dataset_option("Show the prompt that goes with each of its images.", required=False)
@format_option
@lake_option
def show_model(name: str, dataset: str | None, form: str, lake: Lake) -> None:
    """Everything known about one model, and where it is known from.

    NAME is a registry name, a local Hugging Face folder, or a hub id. With --dataset it is shown
    what the model would be asked; its weights are not needed for that.

    \b
    layerhouse models show lingshu-7b
    layerhouse models show tiny-digits --dataset digits
    """
    from extract.models import known_facts

    facts, prompt = known_facts(name), None
    if dataset is not None:
        refuse_unknown_to_run(lake, name, dataset, {})
        from extract.sharing import prompt_for

        prompt = prompt_for(lake, name, dataset)
    if form == "json":
        print_json({"facts": facts, "prompt": prompt})
        return
    rows = [[fact, str(value)] for fact, value in facts.items() if value not in (None, {}, ())]
    print_table(["fact", "value"], rows)
    if prompt is not None:
        for note in prompt.notes:
            click.echo(note)
        click.echo(shown_prompt(prompt))


@command.command("verify")
@click.argument("name", required=False)
@click.option("--all", "everything", is_flag=True, help="Every model whose configuration ships.")
@format_option
def verify_model(name: str | None, everything: bool, form: str) -> None:
    """Build the real architecture without weights and compare it with the registry.

    \b
    layerhouse models verify lingshu-7b
    layerhouse models verify --all
    """
    from extract.models import entry_named, matching_entries

    if (name is None) != everything:
        raise UsageError("name one model to verify, or say --all")
    entries = [entry_named(name)] if name else matching_entries()
    from extract.models import verifiable, verify

    found = []
    for entry in entries:
        if everything and not verifiable(entry):
            continue
        found.append(verify(entry))
    if form == "json":
        print_json({"models": [document(one) | {"passed": one.passed} for one in found]})
    else:
        header = ["name", "parameters", "loci", "registry"]
        print_table(header, [_verified(one) for one in found])
    if not all(one.passed for one in found):
        click.get_current_context().exit(1)


def _verified(one: Verification) -> list[str]:
    wrong = [f"{c.what}: {c.found}, not {c.expected}" for c in one.expectations if not c.agrees]
    size = f"{one.n_parameters / 1e9:.2f}B"
    return [one.model, size, str(len(one.anatomy.loci)), "; ".join(wrong) or "agrees"]


@command.command("remove")
@click.argument("model")
@removal_options
def remove_model(model: str, form: str, **options: Any) -> None:
    """Take MODEL out of the lake: all that was extracted from it, probed, answered and diagnosed.

    Its variants (`MODEL+fault:…`) are models of their own and stay; what compares others with it
    goes with --with-dependents. Files stay until `layerhouse status --free` deletes them; the
    model's own are never touched.

    \b
    layerhouse models remove my-llava --dry-run
    """
    show_removal(models.remove(model, **options), form, options)
