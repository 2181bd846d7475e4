"""Seeing: an image is looked at once, however many prompts ask about it.

In most families what looks at an image (tower and connector) never sees the text. What it makes of
a batch is kept then, and handed to the language model under every further prompt. Whether a family
is such is not taken from its name: the forward pass must come out the same, to the last bit.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from PIL import Image

from extract.answering import UNSUPPORTED
from extract.models import Inputs, Session

FEATURES = "get_image_features"
"""What the models of transformers call, mostly, for all that tower and connector make of images."""
CONNECTORS = ("projector", "connector", "resampler", "merger", "qformer", "language_projection")


class SeenOnce:
    """What the named parts of a model made of one batch of images.

    A part is a module, or one with the method `FEATURES`, marked by a colon and its name.
    """

    def __init__(self, model: Any, parts: Sequence[str]) -> None:
        self.n_replayed = 0
        self._parts = [(model.get_submodule(p.partition(":")[0]), p) for p in parts]
        self._kept: dict[str, list[Any]] = {part: [] for part in parts}
        self._has_seen = False

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Around a forward pass on the batch: the first looks, the others are told."""
        with ExitStack() as put:
            for module, part in self._parts:
                name = part.partition(":")[2] or "forward"
                setattr(module, name, self._instead(part, getattr(module, name)))
                put.callback(delattr, module, name)
            yield
        self._has_seen = True

    def _instead(self, part: str, plain: Callable[..., Any]) -> Callable[..., Any]:
        kept, told = self._kept[part], iter(self._kept[part] if self._has_seen else ())

        def call(*args: Any, **kwargs: Any) -> Any:
            for found in told:
                self.n_replayed += 1
                return found
            found = plain(*args, **kwargs)
            if not self._has_seen:
                kept.append(found)
            return found

        return call


def find_sees_once(
    session: Session, images: Sequence[Image.Image], prompts: Sequence[str]
) -> tuple[str, ...]:
    """The parts of the model that need to look at a batch once for several prompts; none where
    there is one prompt, or where all of the model sees the text.
    """
    if len(prompts) < 2:
        return ()
    first, second = [
        session.on_device(session.encoder_of(prompt)(images[:1])) for prompt in prompts[:2]
    ]
    plain = session.last_logits(session.forward(second))
    for parts in _candidates(session):
        if parts and _is_the_same(session, parts, (first, second), plain):
            return parts
    return ()


def _candidates(session: Session) -> list[tuple[str, ...]]:
    """What might be seen once: all that a model makes of images first, then less of it."""
    named = dict(session.model.named_modules())
    features = [n for n, module in named.items() if n and hasattr(type(module), FEATURES)]
    tower = session.anatomy.tower
    between = [
        n
        for n in named
        if n.rpartition(".")[2].endswith(CONNECTORS) and not n.startswith(f"{tower}.")
    ]
    return [tuple(f"{name}:{FEATURES}" for name in features), (tower, *between), (tower,)]


def _is_the_same(
    session: Session, parts: tuple[str, ...], pair: tuple[Inputs, Inputs], plain: torch.Tensor
) -> bool:
    seen = SeenOnce(session.model, parts)
    try:
        for inputs in pair:
            with seen.passing():
                logits = session.last_logits(session.forward(inputs))
    except UNSUPPORTED:
        return False
    return seen.n_replayed > 0 and torch.equal(logits, plain)
