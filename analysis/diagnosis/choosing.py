"""Which of a model's answers is diagnosed: a choice in the lake that counts until the next one."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from analysis.queries import read_query
from warehouse.catalogue import Catalogue, connect
from warehouse.errors import UsageError
from warehouse.lake import Lake, RunSpec, RunWriter

QUERIES = Path(__file__).parent / "queries"
COMMAND = "diagnose-choice"
RULE = "auto"
"""Leaves method or prompt to the rule again."""


@dataclass(frozen=True)
class Choice:
    """A method and a prompt; None keeps what was chosen before, `auto` leaves it to the rule."""

    method: str | None = None
    prompt_id: str | None = None


AS_BEFORE = Choice()


def choose_answer(
    lake: Lake, model_id: str, dataset_id: str, choice: Choice, looked: frozenset[str]
) -> None:
    """Store that the answers of this method, to this prompt, are what is diagnosed from now on.

    Raises UsageError for answers that the lake does not hold of a test sample.
    """
    with connect(lake) as wh:
        replaced, before, wanted = read_choice(wh, model_id, dataset_id, choice)
    if wanted == before:
        return
    spec = RunSpec(COMMAND, model_id, dataset_id, {**asdict(wanted), "replaces": replaced})
    with RunWriter(lake, spec, looked) as writer:
        writer.finish()


def refuse_unheld(lake: Lake, model_id: str, dataset_id: str, choice: Choice) -> None:
    """Raise UsageError as `choose_answer`, before anything heavy is imported; nothing is stored."""
    if choice != AS_BEFORE:
        with connect(lake) as wh:
            read_choice(wh, model_id, dataset_id, choice)


def read_choice(
    wh: Catalogue, model_id: str, dataset_id: str, choice: Choice
) -> tuple[str | None, Choice, Choice]:
    """The run of the choice that is stored, what it is, and what this one makes of it.

    Raises UsageError as `choose_answer`.
    """
    names = {"model": model_id, "dataset": dataset_id}
    stored = wh.sql(
        "SELECT run_id, method, prompt_id FROM diagnosis_choice WHERE model_id = $model "
        "AND dataset_id = $dataset",
        names,
    ).fetchall()
    held = wh.sql(read_query(QUERIES, "answers"), names).fetchall()
    under = wh.sql(
        "SELECT prompt_id FROM diagnosed_prompt WHERE model_id = $model AND dataset_id = $dataset",
        names,
    ).fetchall()
    replaced, method, prompt_id = stored[0] if stored else (None, None, None)
    before = Choice(method, prompt_id)
    wanted = Choice(_chosen(choice.method, method), _chosen(choice.prompt_id, prompt_id))
    own = under[0][0] if under else "default"
    _require_held(names, wanted, own, [(row[0], row[1]) for row in held])
    return replaced, before, wanted


def _chosen(asked: str | None, before: str | None) -> str | None:
    return before if asked is None else None if asked == RULE else asked


def _require_held(
    names: dict[str, str], wanted: Choice, own: str, held: list[tuple[str, str]]
) -> None:
    """Answers from elsewhere are none to a prompt that is named, since nobody knows theirs."""
    method, prompt = wanted.method, wanted.prompt_id or own
    if any(
        (method is None or has == method)
        and (to == prompt if not has.startswith("imported:") else wanted.prompt_id is None)
        for has, to in held
    ):
        return
    kinds = [has if has.startswith("imported:") else f"{has} to {to}" for has, to in held]
    raise UsageError(
        f"the lake holds no answers of {names['model']} on {names['dataset']} by "
        f"{method or 'any method'} to the prompt {prompt}; of its test images it holds: "
        f"{', '.join(kinds) or 'none'}; `--method auto` and `--prompt auto` take a choice back"
    )
