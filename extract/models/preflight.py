"""Preflight: what a family needs of its processor and a folder lacks, repaired where certain.

What config.json says for certain fills a gap, with a line that tells; what it does not is for
whoever loads the processor to refuse.
"""

from collections.abc import Collection, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from extract.models.files import LOCAL, part_of
from warehouse.errors import LayerhouseError
from warehouse.untrusted import read_object

CLASS_TOKENS = {"clip_vision_model": 1, "siglip_vision_model": 0, "pixtral": 0}
"""How many tokens a tower puts out beside those of the patches."""

FROM_ITS_BASE = (
    "copy the files of tokenizer and processor from the model that it was made from (a trainer's "
    "checkpoints often lack them)"
)
IMAGE_FILES = ("processor_config.json", "preprocessor_config.json")
OF_PIXELS = ("size", "crop_size", "min_pixels", "max_pixels", "image_mean", "image_std")
BOUNDS = ("max_length", "truncation", "truncation_strategy", "stride", "pad_to_multiple_of")
UNBOUND = 10**30
"""The length of a tokenizer that has none, in transformers' own words."""
RENAMED = {"Qwen2_5_VLImageProcessor": "Qwen2VLImageProcessor"}
"""Image processors by names that releases of transformers had for weeks only."""
TOKENIZERS = ("tokenizer.json", "vocab.json", "vocab.txt", "tekken.json", "tiktoken.model")


def refuse_without_tokenizer(folder: Path) -> None:
    """LayerhouseError where a folder has no tokenizer, or one that needs a package not installed.

    transformers makes a fast tokenizer of an older file of SentencePiece, with that package.
    """
    if any((folder / name).is_file() for name in TOKENIZERS):
        return
    if not (folder / "tokenizer.model").is_file():
        raise LayerhouseError(
            f"{folder} has no complete processor: it lacks a tokenizer, none of "
            f"{', '.join(TOKENIZERS)} and tokenizer.model is there; {FROM_ITS_BASE}"
        )
    if find_spec("sentencepiece") is None:
        raise LayerhouseError(
            f"{folder} has a tokenizer.model and no tokenizer.json, which needs sentencepiece; "
            "install it with: pip install sentencepiece protobuf"
        )


def read_tokenizer(folder: Path) -> Any:
    """A folder's tokenizer. One that is a file of SentencePiece alone is read by the class that its
    settings name: transformers' own choice for a few families forgets that a word begins with a
    space.
    """
    import transformers

    path = folder / "tokenizer_config.json"
    named = str(read_object(path).get("tokenizer_class")) if path.is_file() else ""
    kind: Any = getattr(transformers, named.removesuffix("Fast"), None)
    is_kind = isinstance(kind, type) and issubclass(kind, transformers.PreTrainedTokenizerBase)
    if not is_kind or (folder / "tokenizer.json").is_file():
        kind = transformers.AutoTokenizer
    return kind.from_pretrained(folder, **LOCAL)


def unused_settings(adapter: Path, folder: Path) -> tuple[str, ...]:
    """A note where an adapter's trainer saved a processor that sees images otherwise."""
    trained, used = _of_images(adapter), _of_images(folder)
    if not (other := _unlike(trained, used)):
        return ()
    return (
        f"the adapter {adapter.name} lies beside a processor of another {', '.join(other)} than "
        "the model's, which is not used; to prepare images as it was trained, put its files into "
        "the model's folder",
    )


def _of_images(folder: Path) -> dict[str, Any]:
    """What a folder's files say of how images become pixels."""
    files = [_of_images_in(folder / name) for name in reversed(IMAGE_FILES)]
    return {name: value for one in files for name, value in one.items()}


def _of_images_in(path: Path) -> dict[str, Any]:
    told = read_object(path) if path.is_file() else {}
    inner = told.get("image_processor")
    found = {**told, **(inner if isinstance(inner, dict) else {})}
    return {name: found[name] for name in OF_PIXELS if found.get(name) is not None}


def _unlike(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """The settings that differ, 336 being what older files write for sides of 336."""

    def said(value: Any, beside: Any) -> Any:
        is_short = isinstance(beside, int) and isinstance(value, dict)
        return beside if is_short and set(value.values()) == {beside} else value

    both = sorted(one.keys() & other.keys())
    return [n for n in both if said(one[n], other[n]) != said(other[n], one[n])]


def outvoted_settings(folder: Path) -> Iterator[str]:
    """A line where two files of one folder prepare images each in its way: releases of transformers
    from 5 on write the first, older ones read the second."""
    used, older = (_of_images_in(folder / name) for name in IMAGE_FILES)
    if other := _unlike(used, older):
        yield (
            f"{IMAGE_FILES[0]} counts, not {IMAGE_FILES[1]}, which has another "
            f"{', '.join(other)}: take out the one that the model was not trained with"
        )


def repair_tokenizer(folder: Path, tokenizer: Any) -> Iterator[str]:
    """Give a tokenizer what pads; a batch's attention mask hides it, so that any token serves."""
    image = getattr(tokenizer, "image_token", None)
    config = read_object(folder / "config.json")
    places = (config, part_of(config, "text_config"))
    rows = next((n for place in places if type(n := place.get("vocab_size")) is int), UNBOUND)
    known = tokenizer.pad_token
    if known is not None and known != image and tokenizer.pad_token_id < rows:
        return
    for place in places:
        token_id = place.get("pad_token_id")
        if isinstance(token_id, int) and 0 <= token_id < min(len(tokenizer), rows):
            tokenizer.pad_token = tokenizer.convert_ids_to_tokens(token_id)
            break
    else:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.bos_token or tokenizer.unk_token
    if tokenizer.pad_token is None:
        raise ValueError("its tokenizer has no token to pad with and none that could stand for one")
    what = (
        "the tokenizer has no padding token"
        if known in (None, image)
        else f"the padding token {known} has no row in the model"
    )
    yield f"{what}: {tokenizer.pad_token} pads, behind the mask"


def unbind_tokenizer(tokenizer: Any) -> None:
    """Have a tokenizer read whole prompts, whatever length its files were made with, and be quiet
    about it: what a prompt is too long for is the model.
    """
    if (backend := getattr(tokenizer, "backend_tokenizer", None)) is not None:
        backend.no_truncation()
        backend.no_padding()
    tokenizer.model_max_length = UNBOUND
    for name in BOUNDS:  # processors take these for options of every call
        tokenizer.init_kwargs.pop(name, None)


def repair_settings(folder: Path, given: dict[str, Any], slots: Collection[str]) -> Iterator[str]:
    """Fill in settings of a LLaVA-like processor that are missing, from the model's own numbers."""
    config = read_object(folder / "config.json")
    vision = config.get("vision_config")
    if not isinstance(vision, dict):
        return
    known = {
        "patch_size": vision.get("patch_size"),
        "vision_feature_select_strategy": config.get("vision_feature_select_strategy", "default"),
        "num_additional_image_tokens": CLASS_TOKENS.get(str(vision.get("model_type"))),
    }
    _refuse_layers_beyond(folder, config.get("vision_feature_layer"), vision)
    if "num_additional_image_tokens" not in slots:
        return
    for name in ("patch_size", "vision_feature_select_strategy"):
        if given.get(name) not in (None, known[name] or given[name]):
            raise LayerhouseError(
                f"{folder}: the processor's {name} is {given[name]}, that of config.json "
                f"{known[name]}, so that the image has another number of tokens than features; "
                "correct one of them"
            )
    lacking = {
        name: value
        for name, value in known.items()
        if name in slots and given.get(name) is None and value is not None
    }
    given |= lacking
    if lacking:
        told = ", ".join(f"{name} {value}" for name, value in lacking.items())
        yield f"the processor lacks {told}: taken from config.json"


def _refuse_layers_beyond(folder: Path, chosen: Any, vision: dict[str, Any]) -> None:
    """LayerhouseError where features are taken behind a layer that the tower has not."""
    layers = chosen if isinstance(chosen, list) else [chosen]
    depth = vision.get("num_hidden_layers")
    for layer in layers:
        if isinstance(layer, int) and isinstance(depth, int) and not -depth - 2 < layer <= depth:
            raise LayerhouseError(
                f"{folder}: vision_feature_layer of config.json is {layer}, and its vision tower "
                f"has {depth} layers; correct one of them"
            )
