"""What a run rests on may be taken away or dealt anew while it works: then it adds nothing more."""

from __future__ import annotations

from warehouse.errors import LayerhouseError
from warehouse.lake.commits import Commit
from warehouse.lake.facts import REMOVE, RunFacts
from warehouse.vocabulary import MADE_FROM, WHATEVER_SPLIT

REGISTRATION = "datasets-add-"
"""How the records of registrations begin."""


def refuse_removed(mine: RunFacts, run_id: str, removal: Commit) -> None:
    """LayerhouseError where a removal took out the run, what it rests on, or some samples."""
    config = removal.run["config"]
    if removal.removes_samples and mine.command != REMOVE and mine.dataset_id == config["name"]:
        raise LayerhouseError(
            f"samples of {config['name']} were removed from the lake meanwhile "
            f"({removal.run_id}); nothing more was added, run layerhouse {mine.command} again "
            "to go on without them"
        )
    for one in removal.removes:
        if one.run.run_id == run_id or mine.rests_on(one.run):
            raise LayerhouseError(
                f"the {config['what']} {config['name']} was "
                f"removed from the lake meanwhile ({removal.run_id}); nothing more was added, "
                f"run layerhouse {mine.command} again if that is to be done anew"
            )


def refuse_regrouped(mine: RunFacts, registration: Commit) -> None:
    """LayerhouseError where samples were dealt to folds or got other groups: what was fitted under
    their split, or counted by their groups, means nothing any more."""
    is_mine = registration.dataset_id == mine.dataset_id and mine.command in MADE_FROM
    tables = {shard.table for shard in registration.shards}
    if is_mine and mine.command not in WHATEVER_SPLIT and tables & {"sample", "sample_fold"}:
        what = "dealt to folds" if "sample_fold" in tables else "put into other groups"
        raise LayerhouseError(
            f"the samples of {mine.dataset_id} were {what} meanwhile "
            f"({registration.run_id}); nothing more was added, run layerhouse {mine.command} "
            "again for those"
        )
