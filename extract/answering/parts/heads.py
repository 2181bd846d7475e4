"""heads: the decoder's attention heads that tell classes best vote, after few samples of each.

Sparse attention vectors (Mitra et al. 2024, arXiv 2412.00142): of every head the output at the last
token of the prompt, before the output projection mixes heads, is held against the means of the
classes' few samples; the heads that name most of these rightly vote with their nearest mean
(cosine). Here a sample is not part of the mean that it is judged by, since otherwise every head
knows a class of three; ties, of heads and of votes, go by the softmax of the cosines.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from extract.anatomy import hidden
from extract.answering.part import AnswerPart, Lesson, Place
from extract.models import Inputs, Session
from warehouse.errors import LayerhouseError
from warehouse.vocabulary import LLM

N_HEADS, N_SAMPLES = 20, 20
"""Heads that vote, and samples of each class that are learned from, as published."""


class Heads(AnswerPart):
    """`means` has the class means of all voting heads side by side, of classes that train has;
    `columns` [heads, 2] where what each is given begins and ends.
    """

    name = "heads"
    stage = LLM
    kept = ("means", "columns", "absent")

    @classmethod
    def places(cls, session: Session, inputs: Inputs) -> Sequence[Place]:
        found = output_projections(session, inputs)
        if not found:
            raise LayerhouseError(
                f"the decoder of {session.anatomy.model_type} has no attention heads whose outputs "
                "could be told apart"
            )
        return found

    @classmethod
    def wanted(cls, classes: Sequence[int]) -> Sequence[int]:
        """The first samples of each class."""
        seen: Counter[int] = Counter()
        found = []
        for place, index in enumerate(classes):
            seen[index] += 1
            if seen[index] <= N_SAMPLES:
                found.append(place)
        return found

    @classmethod
    def counted(cls, n_classes: int, widths: Sequence[int]) -> int:
        """At most, where heads are of several widths."""
        return n_classes * sum(sorted(widths, reverse=True)[:N_HEADS])

    @classmethod
    def fits(cls, lesson: Lesson) -> Iterator[tuple[AnswerPart, float]]:
        ends = torch.tensor(lesson.widths).cumsum(dim=0)
        columns = torch.stack([ends - torch.tensor(lesson.widths), ends], dim=1)
        known = [_known(lesson, lesson.given[:, start:end]) for start, end in columns.tolist()]
        chosen = torch.tensor(known).argsort(descending=True, stable=True)[:N_HEADS].sort().values
        counts = torch.bincount(lesson.classes, minlength=lesson.n_classes)
        given = [lesson.given[:, start:end] for start, end in columns[chosen].tolist()]
        sums = torch.zeros(lesson.n_classes, sum(each.shape[1] for each in given))
        sums.index_add_(0, lesson.classes, torch.cat(given, dim=1))
        means = sums / counts[:, None].clamp(min=1)
        part = cls({"means": means, "columns": columns[chosen], "absent": (counts == 0).long()})
        said = part.logprobs(lesson.given)
        yield part, float(nn.functional.nll_loss(said, lesson.classes))

    def logprobs(self, given: Tensor) -> Tensor:
        """Of H heads the log of (votes + mean softmax of cosines) / (H + 1): the class of most
        votes is the likeliest, and none is impossible.
        """
        columns, means = self.numbers["columns"].tolist(), self.numbers["means"]
        absent = self.numbers["absent"].bool().to(given.device)
        total, first = given.new_zeros(len(given), len(means)), 0
        for start, end in columns:
            own = means[:, first : first + end - start]
            first += end - start
            cosines = _cosines(given[:, start:end], own).masked_fill(absent, -1)
            votes = nn.functional.one_hot(cosines.argmax(dim=1), len(means))
            total += votes + cosines.softmax(dim=1) / len(columns)
        return torch.log(total / (len(columns) + 1))


def _cosines(given: Tensor, means: Tensor) -> Tensor:
    return nn.functional.normalize(given, dim=-1) @ nn.functional.normalize(means, dim=-1).T


def _known(lesson: Lesson, given: Tensor) -> float:
    """How many samples of a lesson a head names rightly, each held against means without it, and
    as the fraction the mean probability that it gives to the right class.
    """
    right = nn.functional.one_hot(lesson.classes, lesson.n_classes).to(given)
    counts, own = right.sum(dim=0), lesson.classes[:, None]
    unit = nn.functional.normalize(given, dim=1)
    sums = right.T @ given
    cosines = _cosines(given, sums).masked_fill(counts == 0, -1)
    without = nn.functional.normalize(sums[lesson.classes] - given, dim=1)
    alone = counts[lesson.classes] < 2  # nothing is left to be held against
    told = (unit * without).sum(dim=1).masked_fill(alone, -1)
    cosines = cosines.scatter(1, own, told[:, None])
    probability = cosines.softmax(dim=1).gather(1, own).mean()
    return float((cosines.argmax(dim=1) == lesson.classes).sum() + probability)


def output_projections(session: Session, inputs: Inputs) -> list[Place]:
    """Of every attention in the decoder's blocks the matrix that its heads' outputs go through, and
    their widths: the last one to run, whose output is the attention's own.

    Attention that keeps a running state in the place of keys and values has no such heads.
    """
    ran: dict[str, tuple[str, nn.Linear, Tensor]] = {}
    found: dict[str, Place] = {}

    def through(attention: str, path: str) -> Any:
        def after(module: nn.Module, _: Any, output: Tensor) -> None:
            assert isinstance(module, nn.Linear)
            ran[attention] = path, module, output

        return after

    def ended(attention: str, width: int) -> Any:
        def after(_: nn.Module, __: Any, output: Any) -> None:
            path, module, last = ran[attention]
            n_heads, rest = divmod(module.in_features, width)
            if not rest and torch.equal(last, hidden(output)):
                found[attention] = Place(path, (width,) * n_heads)

        return after

    with ExitStack() as hooks:
        for attention, width, matrices in _attentions(session):
            for path in matrices:
                module = session.model.get_submodule(path)
                hooks.enter_context(module.register_forward_hook(through(attention, path)))
            module = session.model.get_submodule(attention)
            hooks.enter_context(module.register_forward_hook(ended(attention, width)))
        session.forward(inputs)
    return list(found.values())


def _attentions(session: Session) -> Iterator[tuple[str, int, list[str]]]:
    """Modules that know how wide a head is and hold matrices: path, that width, paths of these."""
    for block in session.anatomy.of(LLM):
        if not (block.is_block and block.on_path):
            continue
        for name, module in session.model.get_submodule(block.path).named_modules():
            width = getattr(module, "v_head_dim", None) or getattr(module, "head_dim", None)
            path = f"{block.path}.{name}"
            matrices = [
                f"{path}.{inner}"
                for inner, part in module.named_children()
                if isinstance(part, nn.Linear)
            ]
            if isinstance(width, int) and matrices:
                yield path, width, matrices
