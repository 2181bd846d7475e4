from __future__ import annotations

from typing import Any

import click

from layerhouse.cli.shared import dataset_option, format_option, lake_option
from layerhouse.functions import baselines
from layerhouse.printing import print_json, print_table

WORDS = "layerhouse.cli.baseline"


def _show_list(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    """Print the architectures and end, whatever else was asked."""
    if not wanted or context.resilient_parsing:
        return
    from analysis.baselines import known_architectures

    if "json" in context.meta.get(WORDS, ()):
        print_json({"architectures": list(known_architectures().values())})
        context.exit()
    rows = [
        [a.name, a.kind, "yes" if a.is_native else f"through {a.needs}", a.hub or "–", a.title]
        for a in known_architectures().values()
    ]
    print_table(["architecture", "group", "native", "weights, for instance", "what it is"], rows)
    context.exit()


class ListingCommand(click.Command):
    """Keeps what was typed: --list answers before other options are read, --format among them."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[WORDS] = [word.removeprefix("--format=") for word in args]
        return super().parse_args(ctx, args)


@click.command(
    "baseline",
    cls=ListingCommand,
    short_help="Train a traditional image classifier on the same split.",
)
@dataset_option("A registered dataset, a folder of classes, or a manifest.")
@click.option(
    "--architecture",
    required=True,
    multiple=True,
    metavar="A",
    help="For instance texture-svm or resnet; repeatable, see --list.",
)
@click.option("--weights", metavar="W", help="A local folder or hub id.  [default: from scratch]")
@click.option("--side", type=click.IntRange(min=16), help="Side of the square images, in pixels.")
@click.option("--epochs", type=click.IntRange(min=1), help="At most so many passes over train.")
@click.option("--seed", type=int, default=0, show_default=True, help="The first seed.")
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="How many seeds of a deep network; scores are averaged over them.",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
@click.option(
    "--list",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_list,
    help="Show every architecture and exit.",
)
@format_option
@lake_option
def command(dataset: str, architecture: tuple[str, ...], form: str, **options: Any) -> None:
    """Train a traditional image classifier: what the task allows without a language model.

    \b
    layerhouse baseline --dataset digits --architecture pixels-logistic
    layerhouse baseline --dataset digits --architecture resnet --architecture vit --seeds 3
    layerhouse baseline --dataset digits --architecture resnet --weights microsoft/resnet-50
    """
    if form == "json":
        print_json({"baselines": list(baselines(dataset, architecture, **options))})
        return
    for summary in baselines(dataset, architecture, **options):
        for note in summary.notes:
            click.echo(f"Warning: {note}", err=True)
        what = f"{summary.architecture} on {summary.dataset_id}, seed {summary.seed}"
        if summary.added:
            click.echo(
                f"{what}: test {summary.score.replace('_', ' ')} {summary.test_score:.3f} "
                f"in {summary.seconds:.1f} s ({summary.run_id})"
            )
        else:
            click.echo(f"Nothing to do: {what} is in the lake already ({summary.run_id}).")
