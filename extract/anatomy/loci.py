"""Loci: the places of a model that can be looked at, found from its structure.

Nothing here knows a family's module paths: they change between releases of transformers. A stack of
blocks is a list of modules of one kind; its length must be what the configuration says.
"""

import inspect
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from extract.anatomy.kinds import FINAL_NORM, POST_NORM, PROJECTOR
from warehouse.errors import LayerhouseError
from warehouse.vocabulary import BLOCK, CONNECTOR, LLM, MODULES, VISION

LAYER_COUNTS = ("num_hidden_layers", "depth", "num_layers", "encoder_layers", "n_layers")
IMAGE_TOKEN = ("image_token_id", "image_token_index")
"""What configurations call the token that stands for the image in a prompt, if there is one."""
OUTPUT, HIDDEN_STATES, CROSS_STATES = "output", "hidden_states", "cross_attention_states"
# Qwen2-VL's tower has both: there `hidden_size` is what its merger hands to the language model.
WIDTHS = ("embed_dim", "hidden_size", "d_model", "n_embd")


@dataclass(frozen=True)
class Locus:
    """One place to look.

    `path` names a module of the model and `reads` what of it: its output, or an argument it is
    called with (the connector is what enters the decoder). `layer` counts from 0 within the module,
    with a norm after the last block as a layer of its own; `depth` counts from pixel to answer over
    all modules. `on_path` is false where the answer does not depend on what is read here. `calls`
    is how often the module runs in one forward pass; the first time counts (BLIP's norm runs again
    on its CLS token alone).
    """

    module: str
    layer: int
    kind: str
    path: str
    depth: int
    width: int
    reads: str = OUTPUT
    on_path: bool = True
    calls: int = 1

    @property
    def name(self) -> str:
        return f"{self.module}.{self.layer}"

    @property
    def is_block(self) -> bool:
        """Whether it is a block of its module, and no norm or projection."""
        return self.kind == BLOCK


@dataclass(frozen=True)
class Anatomy:
    """The parts of a model that extraction touches, as module paths, and its loci in order."""

    model_type: str
    tower: str
    decoder: str
    head: str
    image_token_id: int | None
    loci: tuple[Locus, ...]

    def of(self, module: str) -> tuple[Locus, ...]:
        return tuple(locus for locus in self.loci if locus.module == module)

    @property
    def crosses(self) -> bool:
        """Whether the decoder looks at the image by cross-attention, not as prompt tokens."""
        return any(locus.reads == CROSS_STATES for locus in self.loci)

    def end(self, module: str) -> Locus:
        """The last locus of a module that the answer depends on."""
        return [locus for locus in self.of(module) if locus.on_path][-1]

    def with_loci(self, loci: tuple[Locus, ...]) -> "Anatomy":
        return replace(self, loci=loci)


def discover(model: Any) -> Anatomy:
    """The loci of an image-text-to-text model of transformers, from its structure alone.

    Works on the meta device too. Widths are the configured ones until a forward pass confirms them,
    and every locus counts as on the path until the self-check has tried it. Raises LayerhouseError
    for a model without a vision tower and for layer counts that differ from the configuration.
    """
    decoder, blocks = _decoder(model)
    tower, stacks = _tower(model, decoder)
    main, *further = [_items(model, stack) for stack in stacks]
    found = len(main) + sum(map(len, further))
    _expect_count(model, VISION, found, _vision_layers(model.config))
    text = model.config.get_text_config(decoder=True)
    decoder_blocks = _items(model, blocks)
    _expect_count(model, LLM, len(decoder_blocks), _configured(text, LAYER_COUNTS))
    places = [(VISION, BLOCK, path) for path in main]
    if post := _norm_after(model, stacks[0], up_to=tower):
        places.append((VISION, POST_NORM, post))
    places += [(VISION, BLOCK, path) for stack in further for path in stack]
    owner = _owner(model, blocks)
    crosses = CROSS_STATES in inspect.signature(owner.forward).parameters
    places.append((CONNECTOR, PROJECTOR, path_of(model, owner) if crosses else decoder_blocks[0]))
    places += [(LLM, BLOCK, path) for path in decoder_blocks]
    if final := _norm_after(model, blocks, up_to=decoder):
        places.append((LLM, FINAL_NORM, final))
    return Anatomy(
        model_type=str(model.config.model_type),
        tower=path_of(model, tower),
        decoder=path_of(model, owner),
        head=path_of(model, model.get_output_embeddings()),
        image_token_id=_configured(model.config, IMAGE_TOKEN),
        loci=tuple(_numbered(places, model, CROSS_STATES if crosses else HIDDEN_STATES)),
    )


def path_of(model: Any, part: nn.Module) -> str:
    """The dotted path of `part` within `model`."""
    for path, module in model.named_modules(remove_duplicate=False):
        if module is part:
            return path
    raise ValueError(f"{type(part).__name__} is not part of {type(model).__name__}")


def _numbered(places: list[tuple[str, str, str]], model: Any, entry: str) -> Iterator[Locus]:
    text = model.config.get_text_config(decoder=True)
    widths = {
        VISION: _configured(_vision_config(model.config), WIDTHS) or 0,
        LLM: _configured(text, WIDTHS) or 0,
    }
    widths[CONNECTOR] = widths[LLM]
    counts = dict.fromkeys(MODULES, 0)
    for depth, (module, kind, path) in enumerate(places):
        reads = entry if module == CONNECTOR else OUTPUT
        yield Locus(module, counts[module], kind, path, depth, widths[module], reads)
        counts[module] += 1


def _stacks(root: nn.Module) -> list[Any]:
    """Lists of blocks below `root`, outermost only (a mixture of experts is a list in a block)."""
    found: dict[str, Any] = {}
    for path, module in root.named_modules():
        is_list = isinstance(module, nn.ModuleList | nn.Sequential) and len(module) > 0
        nested = any(path.startswith(f"{outer}.") for outer in found)
        if is_list and not nested and all(_is_block(item) for item in module.children()):
            found[path] = module
    return list(found.values())


def _is_block(module: nn.Module) -> bool:
    return not _is_linear(module) and any(_is_linear(part) for part in module.modules())


def _is_linear(module: nn.Module) -> bool:
    """Whether a module is one matrix, be it packed by a library whose layers are no nn.Linear."""
    return isinstance(module, nn.Linear) or hasattr(module, "qweight")


def _items(model: Any, stack: nn.Module) -> list[str]:
    base = path_of(model, stack)
    return [f"{base}.{name}" for name, _ in stack.named_children()]


def _owner(model: Any, stack: nn.Module) -> nn.Module:
    """The module whose forward pass runs the stack."""
    return model.get_submodule(path_of(model, stack).rpartition(".")[0])


def _decoder(model: Any) -> tuple[nn.Module, Any]:
    """The language model's decoder and its list of blocks."""
    if getattr(model.config.get_text_config(decoder=True), "is_encoder_decoder", False):
        raise LayerhouseError(
            f"{model.config.model_type} has an encoder-decoder language model; only decoders that "
            "read image and question as one prompt, or by cross-attention, are understood"
        )
    decoder = model.get_decoder()
    for _ in range(3):  # BLIP-2's language model is itself a causal LM around a decoder
        inner = decoder.get_decoder() if hasattr(decoder, "get_decoder") else decoder
        if inner is decoder:
            break
        decoder = inner
    wanted = _configured(model.config.get_text_config(decoder=True), LAYER_COUNTS)
    candidates = _stacks(decoder)
    if not candidates:
        raise LayerhouseError(
            f"{model.config.model_type} has no stack of decoder blocks that could be found"
        )
    exact = [stack for stack in candidates if len(stack) == wanted]
    return decoder, max(exact or candidates, key=len)


def _tower(model: Any, decoder: nn.Module) -> tuple[nn.Module, list[Any]]:
    """The vision tower and its stacks of blocks: the main one, then others of the same block."""
    tower = model.get_encoder(modality="image")
    if tower is model or tower is decoder:
        raise LayerhouseError(
            f"{model.config.model_type} is a text-only model: it has no vision tower, so no image "
            "can be put into it"
        )
    stacks = _stacks(tower)
    if not stacks:
        raise LayerhouseError(f"the vision tower of {model.config.model_type} has no blocks")
    wanted = _configured(_vision_config(model.config), LAYER_COUNTS)
    main = max([s for s in stacks if len(s) == wanted] or stacks, key=len)
    kind = type(next(iter(main.children())))
    alike = [s for s in stacks if s is not main and isinstance(next(iter(s.children())), kind)]
    return tower, [main, *alike]


def _vision_config(config: Any) -> Any:
    for name in ("vision_config", "vit_config", "vision_tower_config"):
        if getattr(config, name, None) is not None:
            return getattr(config, name)
    return config


def _vision_layers(config: Any) -> int | None:
    vision = _vision_config(config)
    layers = _configured(vision, LAYER_COUNTS)
    return None if layers is None else layers + int(getattr(vision, "num_global_layers", 0) or 0)


def _configured(config: Any, names: tuple[str, ...]) -> int | None:
    for name in names:
        value = getattr(config, name, None)
        if isinstance(value, int):
            return value
    return None


def _expect_count(model: Any, module: str, found: int, configured: int | None) -> None:
    if configured is not None and found != configured:
        raise LayerhouseError(
            f"{model.config.model_type}: the configuration promises {configured} {module} layers "
            f"but {found} were found; this family's structure is not understood"
        )


def _norm_after(model: Any, stack: nn.Module, *, up_to: nn.Module) -> str | None:
    """The norm that follows a stack: a sibling of the stack, or of a module around it.

    Where several stand there (CLIP has one before its blocks too) a name that speaks of the end
    decides, then the order of definition.
    """
    path = path_of(model, stack).rpartition(".")[0]
    root = path_of(model, up_to)
    while True:
        owner = model.get_submodule(path)
        norms = [name for name, child in owner.named_children() if _is_norm(child)]
        late = [n for n in norms if any(word in n for word in ("post", "final", "after"))]
        plain = [n for n in norms if not any(word in n for word in ("pre", "embed", "input"))]
        if chosen := (late or plain):
            return f"{path}.{chosen[-1]}"
        if path == root or "." not in path:
            return None
        path = path.rpartition(".")[0]


def _is_norm(module: nn.Module) -> bool:
    return "norm" in type(module).__name__.lower() and not list(module.children())
