"""The self-check before any extraction: is this model read the way it is thought to be?

Every assumption that extraction rests on is tried on the real model with real images, in a handful
of forward passes. What fails is an error that names the model's family and the check, except
batching: where only that fails, images are run one by one and a line says so.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor, nn

from extract.anatomy import POST_NORM, Anatomy, Locus, hidden, watching, with_hidden
from extract.answering import UNSUPPORTED, Prompted, cache_of, ended, placed, score_phrases
from extract.models import Inputs, Session
from extract.reading import Reader, readouts_at
from extract.running.contrast import odd_contrast
from warehouse.errors import LayerhouseError
from warehouse.vocabulary import ANSWER, CONNECTOR, LAYERED, LLM, VISION, Cell

# Largest relative difference ‖batch − single‖ / ‖single‖ of a locus' readouts, per dtype: rounding
# through dozens of layers, far below the difference between two images.
TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 8e-2, torch.float16: 2e-2}
# Class phrases whose quick scores are held against those of full forward passes, one for each, and
# the tokens of all those passes: a prompt that names a thousand classes has thousands.
SCORED_IN_FULL, TOKENS_IN_FULL = 16, 32_768


@dataclass(frozen=True)
class Checked:
    """A session whose loci are known to be read rightly, and what is worth telling about it."""

    session: Session
    batching: bool
    lines: tuple[str, ...]


def check(
    session: Session, images: Sequence[Image.Image], phrases: Sequence[Sequence[int]]
) -> Checked:
    """Try every assumption on one or more images of the dataset and the class phrases' tokens.

    Returns the session with confirmed widths, the readouts each locus has, `on_path` set, where
    the last token is blind, and whether phrases may be scored on the prompt's cache.
    Raises LayerhouseError naming the family and the check that failed.
    """
    first = images[0]
    inputs = session.encode([first])
    _tokens_have_embeddings(session, inputs, phrases)
    _image_token_is_the_models(session, inputs)
    session = _survey(session, inputs)
    session = replace(session, blind=_image_reaches_the_answer(session, first))
    session = _mark_off_path(session, inputs)
    session = _continuing(session, inputs, ended(phrases, session.end_token))
    batching = True
    if len(images) > 1:
        batching = _batches_equal_singles(session, images)
    off = [locus.name for locus in session.anatomy.loci if not locus.on_path]
    lines = [f"off the path to the answer: {', '.join(off)}"] if off else []
    if session.blind:
        lines.append(
            f"the last token has seen nothing of the image yet at {', '.join(session.blind)}: what "
            "is read there at `last` is the same for all images"
        )
    lines += [*odd_contrast(session, first.size), *_too_long(session, inputs)]
    if not batching:
        lines.append(
            f"{session.anatomy.model_type} gives other results in batches than one by one: "
            "images run one by one"
        )
    if not session.continues:
        lines.append(
            f"the cache of {session.anatomy.model_type} cannot be continued: class phrases and "
            "replies take a full forward pass each"
        )
    return Checked(session, batching, tuple(lines))


def _fail(session: Session, check_name: str, what: str) -> LayerhouseError:
    return LayerhouseError(
        f"self-check of {session.loaded.source.name} ({session.anatomy.model_type}), "
        f"{check_name}: {what}"
    )


def _tokens_have_embeddings(
    session: Session, inputs: Inputs, phrases: Sequence[Sequence[int]]
) -> None:
    """On a GPU a token beyond the table would end the process' use of it, on a CPU the forward."""
    ids = {*inputs["input_ids"].flatten().tolist(), *(t for phrase in phrases for t in phrase)}
    table = session.model.get_input_embeddings()
    rows = getattr(table, "num_embeddings", table.weight.shape[0])
    if max(ids) >= rows:
        token = session.loaded.processor.tokenizer.convert_ids_to_tokens(max(ids))
        raise _fail(
            session,
            "embeddings",
            f"the prompt's token {token!r} has the id {max(ids)}, but the embedding table has "
            f"{rows} rows: tokens were added to the tokenizer and the model was not resized for "
            "them; give it the tokenizer that it was trained with",
        )


def _image_token_is_the_models(session: Session, inputs: Inputs) -> None:
    """The model puts the image where config.json's token stands; the processor writes its own."""
    processor = session.loaded.processor
    due = session.anatomy.image_token_id
    written = getattr(processor, "image_token", None)
    if due is None or written is None or session.anatomy.crosses:
        return
    ids, tokenizer = inputs["input_ids"], processor.tokenizer
    found = tokenizer.convert_tokens_to_ids(str(written))
    if (ids == due).any():
        return
    if found is None or found == tokenizer.unk_token_id:
        raise _fail(
            session,
            "image tokens",
            f"the processor writes {str(written)!r} for an image, which is no token of its "
            "tokenizer; give it the tokenizer that it was trained with",
        )
    if found != due and (ids == found).any():
        raise _fail(
            session,
            "image tokens",
            f"the processor writes {str(written)!r} ({found}) for an image, but config.json has "
            f"the model look for the token {due}; correct that number in config.json",
        )


def _too_long(session: Session, inputs: Inputs) -> list[str]:
    text = session.model.config.get_text_config()
    room, length = getattr(text, "max_position_embeddings", None), inputs["input_ids"].shape[1]
    if not room or length <= room:
        return []
    return [
        f"a prompt of {length:,} tokens is longer than the {room:,} that the model was made for: "
        "what it answers is not what it can"
    ]


def _survey(session: Session, inputs: Inputs) -> Session:
    """Confirm that every locus fires once per forward pass; learn its width and readouts."""
    shapes = observed_shapes(session, inputs)
    facts = session.facts(inputs)
    loci, readouts = [], {}
    for locus in session.anatomy.loci:
        seen = shapes[locus.name]
        again = locus.kind == POST_NORM and all(len(shape) == 2 for shape in seen[1:])
        if not seen or (len(seen) > 1 and not again):
            raise _fail(
                session, "hooks", f"{locus.name} ({locus.path}) ran {len(seen)} times, not once"
            )
        shape = seen[0]
        width = shape[1] if len(shape) == 4 else shape[-1]
        locus = replace(locus, width=width, calls=len(seen))
        found = readouts_at(locus, facts.token_map(locus, shape))
        if not found:
            raise _fail(session, "readouts", f"nothing can be read at {locus.name} {shape}")
        loci.append(locus)
        readouts[locus.name] = found
    anatomy = session.anatomy.with_loci(tuple(loci))
    return replace(session, anatomy=anatomy, readouts=readouts)


def observed_shapes(session: Session, inputs: Inputs) -> dict[str, list[tuple[int, ...]]]:
    """The shape of every activation at each locus during one forward pass."""
    shapes: dict[str, list[tuple[int, ...]]] = {locus.name: [] for locus in session.anatomy.loci}

    def note(index: int, states: Tensor) -> None:
        shapes[session.anatomy.loci[index].name].append(tuple(states.shape))

    with watching(session.model, session.anatomy.loci, note):
        session.forward(session.on_device(inputs))
    return shapes


def _image_reaches_the_answer(session: Session, image: Image.Image) -> tuple[str, ...]:
    """An image and its negative must differ in every activation and in the answer's logits.

    Returns the loci of the decoder where they do not at the last token: it looks at what lies
    within a window (gemma3), or across at the image from a later block on (mllama).

    What enters the decoder must differ at the image tokens and nowhere else: then the prompt's
    image tokens are the connector's rows, one for one.
    """
    pair = [session.encode([picture]) for picture in (image, ImageOps.invert(image))]
    runs = [_states(session, inputs) for inputs in pair]
    if not torch.isfinite(runs[0][1]).all():
        _refuse_broken(session, pair[0])
    if torch.equal(runs[0][1], runs[1][1]):
        raise _fail(session, "two images", "an image and its negative get the same answer")
    for locus in _must_differ(session.anatomy):
        one, other = (states[locus.name] for states, _ in runs)
        if one.shape == other.shape and torch.equal(one, other):
            raise _fail(
                session, "two images", f"{locus.name} is the same for an image and its negative"
            )
    last = [{name: found[:, -1] for name, found in states.items()} for states, _ in runs]
    llm = [locus.name for locus in session.anatomy.of(LLM)]
    blind = tuple(name for name in llm if torch.equal(last[0][name], last[1][name]))
    if session.anatomy.crosses:
        return blind
    connector = session.anatomy.of(CONNECTOR)[0].name
    one, other = (states[connector] for states, _ in runs)
    changed = (one != other).any(dim=-1).cpu().numpy()
    if (changed & ~session.facts(pair[0]).image_mask).any():
        raise _fail(
            session,
            "image tokens",
            f"the image enters at {int(changed.sum())} prompt tokens, but only "
            f"{int(session.facts(pair[0]).image_mask.sum())} are marked as image tokens",
        )
    return blind


def _refuse_broken(session: Session, inputs: Inputs) -> None:
    """Numbers that overflow are of the dtype, those that were never finite of the files."""
    if any(value.is_floating_point() and not value.isfinite().all() for value in inputs.values()):
        raise _fail(session, "pixels", "the processor makes values of an image that are not finite")
    for name, weight in session.model.named_parameters():
        if weight.is_floating_point() and not torch.isfinite(weight).all():
            raise _fail(
                session,
                "weights",
                f"{name} holds values that are not finite: its training diverged, or the file is "
                "damaged",
            )


def _must_differ(anatomy: Anatomy) -> tuple[Locus, ...]:
    """With cross-attention the decoder's first blocks may see nothing of the image, rightly."""
    if not anatomy.crosses:
        return anatomy.loci
    return (*anatomy.of(VISION), *anatomy.of(CONNECTOR), anatomy.of(LLM)[-1])


def _states(session: Session, inputs: Inputs) -> tuple[dict[str, Tensor], Tensor]:
    states: dict[str, Tensor] = {}

    def note(index: int, found: Tensor) -> None:
        states.setdefault(session.anatomy.loci[index].name, found.clone())

    with watching(session.model, session.anatomy.loci, note):
        logits = session.last_logits(session.forward(session.on_device(inputs)))
    return states, logits


def _mark_off_path(session: Session, inputs: Inputs) -> Session:
    """Set `on_path` by perturbation: change a locus' activations and see whether the answer moves.

    Tried from the end of each module backwards up to the first one that counts: what lies before it
    feeds it, block by block.
    """
    on_device = session.on_device(inputs)
    before = session.last_logits(session.forward(on_device))
    off: set[str] = set()
    for module in LAYERED:
        for locus in reversed(session.anatomy.of(module)):
            with perturbed(session.model, locus):
                after = session.last_logits(session.forward(on_device))
            if not torch.equal(before, after):
                break
            off.add(locus.name)
        else:
            raise _fail(session, "path", f"no {module} layer has any influence on the answer")
    loci = [replace(locus, on_path=locus.name not in off) for locus in session.anatomy.loci]
    return replace(session, anatomy=session.anatomy.with_loci(tuple(loci)))


@contextmanager
def perturbed(model: nn.Module, locus: Locus) -> Iterator[None]:
    """Add fixed noise of one standard deviation to the output of a locus' module."""

    def edit(_: Any, __: Any, output: Any) -> Any:
        states = hidden(output)
        noise = torch.randn(
            states.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float32
        )
        scale = states.float().std().clamp(min=1e-3)
        return with_hidden(output, states + (noise.to(states.device) * scale).to(states.dtype))

    with model.get_submodule(locus.path).register_forward_hook(edit, prepend=True):
        yield


def _continuing(session: Session, inputs: Inputs, phrases: Sequence[Sequence[int]]) -> Session:
    """The session with the quickest way of scoring that equals scoring by full forward passes."""
    on_device = session.on_device(inputs)
    session, logits = placed(session, on_device)
    bound = max(TOKENS_IN_FULL // inputs["input_ids"].shape[1], 1)
    tried_in_full = _some_of(phrases, min(bound, SCORED_IN_FULL))
    in_full = score_phrases(
        session, Prompted(on_device, logits, None), [phrases[index] for index in tried_in_full]
    )
    tolerance = TOLERANCE[session.loaded.dtype]
    for branches in (True, False):
        tried = replace(session, branches=branches)
        # One pass each: what a cache does not support may have spoiled it.
        cache = cache_of(session.forward(on_device, keep_cache=True))
        try:
            shared = score_phrases(tried, Prompted(on_device, logits, cache), phrases)
        except UNSUPPORTED:
            continue
        if torch.allclose(shared[:, tried_in_full], in_full, rtol=tolerance, atol=tolerance):
            return tried
    return replace(session, continues=False, branches=False)


def _some_of(phrases: Sequence[Sequence[int]], most: int) -> list[int]:
    """Places of all phrases, or of many `most` that lie far apart in their tree and the longest:
    each costs a forward pass of the whole prompt."""
    in_order = sorted(range(len(phrases)), key=lambda index: tuple(phrases[index]))
    spread = in_order[:: -(-len(phrases) // most)]
    return sorted({*spread, max(in_order, key=lambda index: len(phrases[index]))})


def _batches_equal_singles(session: Session, images: Sequence[Image.Image]) -> bool:
    """Whether readouts and logits of a batch equal those of its images run one by one."""
    together = read_once(session, images)
    alone = [read_once(session, [image]) for image in images]
    tolerance = TOLERANCE[session.loaded.dtype]
    for name, values in together.items():
        single = np.concatenate([one[name] for one in alone])
        scale = max(float(np.linalg.norm(single)), 1e-12)
        if not float(np.linalg.norm(values - single)) / scale <= tolerance:
            return False
    return True


def read_once(
    session: Session, images: Sequence[Image.Image]
) -> dict[Cell, np.ndarray[Any, np.dtype[np.float32]]]:
    """Every readout of every locus (n, width), and the answer's logits (n, tokens), of n images."""
    wanted = [(locus, session.readouts[locus.name]) for locus in session.anatomy.loci]
    inputs = session.encode(images)
    reader = Reader(session.model, session.anatomy, wanted)
    with reader.attached(), reader.recording(session.facts(inputs), session.loaded.device):
        output = session.forward(session.on_device(inputs))
    found = dict(reader.collect())
    found[Cell(ANSWER, 0, "logits")] = session.last_logits(output).cpu().numpy()
    return found
