"""Hooks: the hidden states that pass through a model's modules as it runs, seen and replaced."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn

from extract.anatomy.loci import HIDDEN_STATES, OUTPUT, Locus


def hidden(output: Any) -> Tensor:
    """The hidden states in what a block returns: the tensor itself or the first of a tuple.

    Of any shape, (n, positions, width) as a rule; a token map says whose rows they are.
    """
    while not isinstance(output, Tensor):
        output = output[0]
    return output


def block_input(args: Sequence[Any], kwargs: Mapping[str, Any], name: str) -> Tensor | None:
    """The hidden states a module was called with, or another argument by name.

    Of any shape, as in `hidden`; None where it was called without.
    """
    if name in kwargs:
        return kwargs[name]
    if name == HIDDEN_STATES and args:
        return hidden(args[0])
    return kwargs.get("inputs_embeds") if name == HIDDEN_STATES else None


@contextmanager
def watching(
    model: Any, loci: Sequence[Locus], note: Callable[[int, Tensor], None]
) -> Iterator[None]:
    """Within the block, call `note(index, states)` whenever the locus of that index is reached."""

    def watch(index: int, locus: Locus) -> Any:
        module = model.get_submodule(locus.path)

        def before(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            states = block_input(args, kwargs, locus.reads)
            if states is not None:
                note(index, states)

        def after(_: nn.Module, __: tuple[Any, ...], output: Any) -> None:
            note(index, hidden(output))

        if locus.reads == OUTPUT:
            return module.register_forward_hook(after)
        return module.register_forward_pre_hook(before, with_kwargs=True)

    with ExitStack() as hooks:
        for index, locus in enumerate(loci):
            hooks.enter_context(watch(index, locus))
        yield


def with_hidden(output: Any, states: Tensor) -> Any:
    """`output` with its hidden states replaced by others of their shape, in the form the block
    returned them.
    """
    if isinstance(output, Tensor):
        return states
    return type(output)([states, *output[1:]])


def flatten(states: Tensor) -> Tensor:
    """An activation of any layout as (rows, width): feature maps put their channels last."""
    if states.dim() == 4:
        states = states.flatten(2).transpose(1, 2)
    return states.reshape(-1, states.shape[-1])


def unflatten(rows: Tensor, like: Tensor) -> Tensor:
    """The inverse of `flatten` for an activation shaped as `like`."""
    if like.dim() == 4:
        n, channels, height, width = like.shape
        return rows.reshape(n, height * width, channels).transpose(1, 2).reshape(like.shape)
    return rows.reshape(like.shape)
