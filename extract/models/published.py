"""Checkpoints published in a layout of their own: their configuration and processor, from data.

Some medical models were published with code of their own that does what a class of transformers
does. Their weights go through the registry's key mapping; here the rest is put together from the
numbers in their files and from published.toml, and no code of theirs is run.
"""

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from extract.models.architectures import built_from
from extract.models.files import LOCAL
from extract.models.registry import RegistryEntry, registry
from extract.models.templates import Template, template_in
from warehouse.errors import LayerhouseError
from warehouse.untrusted import read_object

HERE = Path(__file__).resolve().parent
IMAGE_SETTINGS = ("image_mean", "image_std", "patch_size", "resample", "size", "crop_size")
# Older releases wrote the rotary base flat; the configuration class still takes it.
ROTARY = ("rope_theta", "rope_scaling")
NOT_NUMBERS = ("model_type", "architectures", "transformers_version", "dtype", "_name_or_path")


@cache
def layouts() -> dict[str, dict[str, Any]]:
    """What published.toml knows, by the layout's name, a registry entry's `published_as`."""
    return tomllib.loads((HERE / "published.toml").read_text(encoding="utf-8"))


def layout_of(folder: Path, entry: RegistryEntry | None) -> dict[str, Any] | None:
    """The layout a folder was published in, or None where transformers reads it as it is."""
    if entry is None or entry.published_as is None:
        return None
    layout = layouts()[entry.published_as]
    kind = read_object(folder / "config.json").get("model_type")
    return layout if kind in layout["model_types"] else None


def find_published(config: Mapping[str, Any]) -> RegistryEntry | None:
    """The entry published in the layout and the sizes of this config.json, or None."""
    sizes = (config.get("num_hidden_layers"), config.get("hidden_size"))
    for entry in registry().values():
        known = layouts().get(entry.published_as or "", {}).get("model_types", ())
        if entry.llm == sizes and config.get("model_type") in known:
            return entry
    return None


def converted_config(folder: Path, entry: RegistryEntry) -> Any:
    """The configuration of transformers' class for a folder in a published layout.

    The language model's numbers are the folder's own, the tower's those of the architecture.
    """
    from transformers import AutoConfig

    if entry.architecture is None or entry.published_as is None:
        raise LayerhouseError(
            f"the sizes of {entry.name} are not known; add its architecture to the registry"
        )
    original = read_object(folder / "config.json")
    family, numbers = built_from(entry.architecture)
    text = numbers["text_config"]
    known = AutoConfig.for_model(text["model_type"]).to_dict()
    taken = [name for name in known if name not in NOT_NUMBERS] + list(ROTARY)
    text |= {name: original[name] for name in taken if name in original}
    if "tie_word_embeddings" in original:
        numbers["tie_word_embeddings"] = original["tie_word_embeddings"]
    config = AutoConfig.for_model(family, **numbers)
    token = published_tokenizer(folder, layouts()[entry.published_as]).image_token_id
    named = "image_token_index" if hasattr(config, "image_token_index") else "image_token_id"
    setattr(config, named, token)
    return config


def published_tokenizer(folder: Path, layout: dict[str, Any]) -> Any:
    """The folder's tokenizer, told which of its tokens stands for an image."""
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    loader: Any = (
        PreTrainedTokenizerFast if (folder / "tokenizer.json").is_file() else AutoTokenizer
    )
    image = layout["image_token"]
    if image not in loader.from_pretrained(folder, **LOCAL).get_vocab():
        raise LayerhouseError(f"the tokenizer in {folder} has no token {image!r} for images")
    named = {"image_token": image}  # would be added, without an embedding, if it were not there
    tokenizer = loader.from_pretrained(folder, extra_special_tokens=named, **LOCAL)
    if tokenizer.pad_token in (None, image):  # padding must not look like an image
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def published_processor_parts(folder: Path, layout: dict[str, Any]) -> dict[str, Any]:
    """What a processor is built from: its class, settings, image processor and tokenizer."""
    import transformers

    settings = dict(layout["image_processor"])
    path = folder / "preprocessor_config.json"
    original = read_object(path) if path.is_file() else {}
    settings |= {name: original[name] for name in IMAGE_SETTINGS if name in original}
    settings |= _pixel_budget(layout.get("pixel_budget", {}) | original)
    image_processor = getattr(transformers, f"{settings.pop('image_processor_type')}Pil")
    return {
        **layout.get("processor_settings", {}),
        "processor_class": layout["processor_class"],
        "tokenizer": published_tokenizer(folder, layout),
        "image_processor": image_processor(**settings),
    }


def published_template(folder: Path, layout: dict[str, Any]) -> Template:
    """The original's own chat template where its layout says that it counts, else the authors'."""
    token = layout["image_token"]
    variables = layout.get("template_variables", {}) | {"image_token": token}
    own = template_in(folder, layout | {"template_variables": variables})
    authors = layout["chat_template"].replace("{image}", token)
    return own or Template(authors, "the authors' code (published.toml)")


def _pixel_budget(told: dict[str, Any]) -> dict[str, Any]:
    """The least and most pixels of an image, which some originals count in patches (tokens)."""
    names = {"min_tokens": "shortest_edge", "max_tokens": "longest_edge"}
    size = {
        ours: int(told[theirs]) * int(told.get("patch_size", 14)) ** 2
        for theirs, ours in names.items()
        if told.get(theirs)
    }
    return {"size": size} if len(size) == len(names) else {}
