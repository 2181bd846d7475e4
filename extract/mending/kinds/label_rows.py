"""label-rows: the head's rows of the tokens that name classes, fitted anew.

With all else as it is, the likelihood of the right answers is concave in these rows, so there is
one best fit; a ridge towards the rows as they were keeps what few samples do not tell. Steps of
gradient descent of the usual length leave a permuted head as it is.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from extract.answering import minimise
from extract.mending.recipe import MendEpoch, best_epoch
from extract.mending.repair import OnEpoch, Repair, TrainedRepair, saving
from extract.mending.school import IGNORED, Lessons, School
from extract.models import adaptable, load_peft, untie
from warehouse.errors import LayerhouseError
from warehouse.vocabulary import ANSWER

RIDGES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
"""Tried from strong to weak, as shares of the states' mean squared norm; the best on val stays."""


class LabelRows(Repair):
    name = "label-rows"
    stage = ANSWER
    examinations = 1 + len(RIDGES)

    def counted(self, school: School) -> int:
        head = school.session.model.get_submodule(school.session.anatomy.head)
        return len(_tokens(school)) * int(head.weight.shape[1])

    def train(self, school: School, on_epoch: OnEpoch) -> TrainedRepair:
        peft = load_peft()
        session, start = school.session, time.monotonic()
        untie(session.model)
        head = session.model.get_submodule(session.anatomy.head)
        tokens = _tokens(school)
        states = _states(school, school.train, head, tokens)
        config = peft.TrainableTokensConfig(
            token_indices=tokens,
            target_modules=[session.anatomy.head],
            base_model_name_or_path=school.job.source.name,
        )
        tuned = adaptable(session.model, config)
        rows = session.model.get_submodule(session.anatomy.head).trainable_tokens_delta["default"]
        before = rows.detach().float().clone()
        history = [MendEpoch(0, None, *school.examine(), time.monotonic() - start)]
        on_epoch(history[0])
        fitted = best = before
        with torch.no_grad():
            for number, ridge in enumerate(RIDGES, 1):
                fitted, loss = _fit(states, before, fitted, ridge)
                rows.copy_(fitted)
                epoch = MendEpoch(number, loss, *school.examine(), time.monotonic() - start)
                history.append(epoch)
                on_epoch(epoch)
                best = fitted if best_epoch(history) is epoch else best
            rows.copy_(best)
        return TrainedRepair(saving(tuned), rows.numel(), history)


def _tokens(school: School) -> list[int]:
    """Those that name classes."""
    return sorted({token for phrase in school.opened.phrases for token in phrase})


@dataclass(frozen=True)
class _States:
    """What the head is given behind every token of the right answers: fp32 [tokens, width].

    `others` [tokens] is the log of the sum over the exponents of all other tokens' logits, `offset`
    [rows] the head's bias; `wanted` [tokens] is the row of the token that should be said, and where
    that is none of the rows `told` [tokens] has its logit; `weights` [tokens] are its class'.
    """

    given: Tensor
    others: Tensor
    offset: Tensor
    wanted: Tensor
    told: Tensor
    weights: Tensor


@torch.no_grad()
def _states(school: School, lessons: Lessons, head: Any, tokens: Sequence[int]) -> _States:
    place = {token: row for row, token in enumerate(tokens)}
    chosen = torch.tensor(tokens, device=head.weight.device)
    found: list[tuple[Tensor, ...]] = []
    for prepared, classes in lessons():
        with _watching(head) as seen:
            logits, scored = school.logits(prepared, classes)
        given = seen[-1][:, -scored.shape[1] - 1 : -1].float()
        expected = head(given.to(head.weight.dtype)).float()
        near = 1e-2 * float(logits.abs().max())
        if not torch.allclose(expected, logits, rtol=1e-2, atol=near):
            raise LayerhouseError(
                f"{school.job.model_id} changes its logits behind the head, so that its rows "
                "cannot be fitted by themselves"
            )
        counted = scored != IGNORED
        wanted = torch.tensor([place.get(int(t), -1) for t in scored[counted]])
        told = logits[counted].gather(1, scored[counted][:, None])[:, 0]
        others = logits[counted].index_fill(1, chosen, float("-inf")).logsumexp(dim=1)
        weights = school.weights[classes][:, None].expand(counted.shape)[counted.cpu()]
        found.append((given[counted].cpu(), others.cpu(), wanted, told.cpu(), weights))
    given, others, wanted, told, weights = (torch.cat(part) for part in zip(*found, strict=True))
    bias = getattr(head, "bias", None)
    offset = torch.zeros(len(tokens)) if bias is None else bias[chosen].float().cpu()
    return _States(given, others, offset, wanted, told, weights)


def _fit(states: _States, before: Tensor, start: Tensor, ridge: float) -> tuple[Tensor, float]:
    """The rows of least loss, and the mean negative log-likelihood of a token under them."""
    strength = ridge * float(states.given.square().sum(dim=1).mean()) / before.shape[1]
    named = states.wanted >= 0
    origin = before.cpu()
    rows = start.cpu().clone().requires_grad_(True)

    def mean_loss() -> Tensor:
        scores = states.given @ rows.T + states.offset
        total = torch.logaddexp(scores.logsumexp(dim=1), states.others)
        told = scores.gather(1, states.wanted.clamp(min=0)[:, None])[:, 0]
        return ((total - told.where(named, states.told)) * states.weights).mean()

    minimise(rows, lambda: mean_loss() + 0.5 * strength * (rows - origin).square().sum())
    return rows.detach().to(before.device), float(mean_loss())


@contextmanager
def _watching(head: Any) -> Iterator[list[Tensor]]:
    seen: list[Tensor] = []
    with head.register_forward_pre_hook(lambda _, args: seen.append(args[0])):
        yield seen
