"""Processors: from an image and a question to a model's inputs, without torchvision or network.

transformers picks another image backend where torchvision is installed, and refuses processors with
a video slot where it is not. Here every machine uses the Pillow backend, so that equal images give
equal inputs everywhere, and the video slot is filled with a stand-in nobody calls.
"""

import copy
import inspect
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers
from PIL import Image, ImageColor
from torch import Tensor
from transformers.utils import PushToHubMixin

from extract.models.files import LOCAL, failing_as, part_of
from extract.models.fingerprints import QFORMER
from extract.models.preflight import (
    FROM_ITS_BASE,
    IMAGE_FILES,
    RENAMED,
    outvoted_settings,
    read_tokenizer,
    refuse_without_tokenizer,
    repair_settings,
    repair_tokenizer,
    unbind_tokenizer,
)
from extract.models.prompts import special_tokens
from extract.models.published import layout_of, published_processor_parts, published_template
from extract.models.registry import RegistryEntry, find_alike
from extract.models.settling import settle
from extract.models.templates import Template, template_in
from warehouse.errors import LayerhouseError
from warehouse.untrusted import read_object

PROCESSOR_FILES = (*IMAGE_FILES, "tokenizer_config.json")
READ_FILES = (*PROCESSOR_FILES, "config.json", "generation_config.json", "tokenizer.json")
NOT_FOR_THE_MODEL = ("labels",)  # PaliGemma's processor prepares training targets


class NoVideo(PushToHubMixin):
    """Fills the video slot of processors that only ever see images here.

    transformers' own base for it has another name from release to release; what a processor asks of
    the part in this slot is that it can be saved and names no inputs.
    """

    model_input_names: tuple[str, ...] = ()
    _auto_class = None

    merge_size = temporal_patch_size = 2
    patch_size = 14
    num_frames = 8
    fps = 1
    slice_mode = use_image_id = False
    downsample_mode = "16x"

    def _set_processor_class(self, name: str) -> None:
        """Part of being saved; a stand-in belongs to no class."""

    def to_dict(self) -> dict[str, Any]:
        return {"video_processor_type": type(self).__name__}

    def __call__(self, *_: Any, **__: Any) -> Any:
        raise LayerhouseError("videos are not supported; give images")


def image_only(processor_class: Any) -> Any:
    """A processor class that takes any object in its video and audio slots."""

    def check(self: Any, name: str, argument: Any) -> Any:
        if name in ("video_processor", "feature_extractor", "audio_processor"):
            return type(argument)
        return processor_class.check_argument_for_proper_class(self, name, argument)

    body = {"check_argument_for_proper_class": check}
    return type(processor_class.__name__, (processor_class,), body)


@dataclass(eq=False)
class RowwiseProcessor:
    """Pixtral's way of laying out an image: a row of image tokens, a break, …, an end.

    transformers' own PixtralProcessor cannot be imported without torchvision. The fields are called
    what its files call them.
    """

    image_processor: Any
    tokenizer: Any
    patch_size: int = 16
    spatial_merge_size: int = 1
    chat_template: str | None = None
    image_token: str = "[IMG]"
    image_break_token: str = "[IMG_BREAK]"
    image_end_token: str = "[IMG_END]"

    @property
    def step(self) -> int:
        """The side, in pixels, of what one image token stands for."""
        return self.patch_size * self.spatial_merge_size

    def apply_chat_template(self, turns: Any, **options: Any) -> str:
        options["tokenize"] = False
        text = self.tokenizer.apply_chat_template(
            turns, chat_template=self.chat_template, **options
        )
        return str(text)

    def __call__(self, images: Any, text: Sequence[str], **options: Any) -> dict[str, Any]:
        """The image processor's output with `input_ids` and `attention_mask` [n, tokens]."""
        tensors = options["return_tensors"]
        found = dict(self.image_processor(images=images, return_tensors=tensors))
        sizes = [(int(h) // self.step, int(w) // self.step) for h, w in found["image_sizes"]]
        laid_out = [
            prompt.replace(self.image_token, self._expanded(*size), 1)
            for prompt, size in zip(text, sizes, strict=True)
        ]
        found.update(self.tokenizer(laid_out, **options))
        return found

    def _expanded(self, rows: int, columns: int) -> str:
        row = self.image_token * columns
        return self.image_break_token.join([row] * rows) + self.image_end_token


@dataclass(frozen=True)
class ReadyProcessor:
    """A processor with the chat template that counts; `notes` say what had to be repaired."""

    processor: Any
    template: Template
    notes: tuple[str, ...] = ()


def ready_processor(folder: Path, entry: RegistryEntry | None = None) -> ReadyProcessor:
    """The processor in a model folder, put together from its tokenizer and image processor.

    `entry` tells of a checkpoint published in a layout of its own. Reads local files only and runs
    no code from them. Raises LayerhouseError if a part is missing that config.json does not tell.
    """
    layout = layout_of(folder, entry)
    for name in READ_FILES:
        if (folder / name).is_file():
            read_object(folder / name)  # what libraries say of a damaged file does not name it
    refuse_without_tokenizer(folder)
    found = template_in(folder) if layout is None else published_template(folder, layout)
    with failing_as(f"{folder} has no complete processor"):
        given = _own_parts(folder) if layout is None else published_processor_parts(folder, layout)
        processor_class = _processor_class(given["processor_class"])
        slots = inspect.signature(processor_class).parameters
        notes = [*repair_tokenizer(folder, given["tokenizer"])]
        notes += [*repair_settings(folder, given, slots), *outvoted_settings(folder)]
        given["tokenizer"].padding_side = "left"
        unbind_tokenizer(given["tokenizer"])
        given["video_processor"] = NoVideo()
        given |= _further_parts(folder, slots)
        given.pop("chat_template", None)
        processor = processor_class(**{slot: given[slot] for slot in slots if slot in given})
    config = read_object(folder / "config.json")
    known = entry or find_alike(config, folder.name)
    template = settle(processor, found, known, str(config.get("model_type")))
    return ReadyProcessor(processor, template, (*notes, *template.notes))


def _own_parts(folder: Path) -> dict[str, Any]:
    """Settings and parts of a processor, from the files transformers writes."""
    settings = _settings(folder)
    if settings.get("processor_class") is None:
        settings["processor_class"] = _class_of_family(folder)
    tokenizer = read_tokenizer(folder)
    images = _image_processor(folder, settings)
    return {**settings, "tokenizer": tokenizer, "image_processor": images}


def _image_processor(folder: Path, settings: Mapping[str, Any]) -> Any:
    if not any((folder / name).is_file() for name in IMAGE_FILES):
        raise LayerhouseError(
            f"{folder} has no complete processor: neither {' nor '.join(IMAGE_FILES)} says how "
            f"images are prepared; {FROM_ITS_BASE}"
        )
    inner = settings.get("image_processor")
    named = inner if isinstance(inner, dict) else settings
    renamed = RENAMED.get(str(named.get("image_processor_type")).removesuffix("Fast"))
    if renamed is not None:
        return getattr(transformers, f"{renamed}Pil").from_pretrained(folder, **LOCAL)
    return transformers.AutoImageProcessor.from_pretrained(folder, backend="pil", **LOCAL)


def _class_of_family(folder: Path) -> str:
    """The processor of the model's family, for a folder that names none."""
    from transformers.models.auto.processing_auto import PROCESSOR_MAPPING_NAMES

    config = read_object(folder / "config.json")
    if part_of(config, "vision_config").get("model_type") == "pixtral":
        return "PixtralProcessor"
    found = PROCESSOR_MAPPING_NAMES.get(str(config.get("model_type")))
    if found is None:
        raise LayerhouseError(
            f"{folder} names no processor class in {' or '.join(PROCESSOR_FILES)}; without one it "
            "is unknown how images enter the prompt"
        )
    return str(found)


def _processor_class(name: str) -> Any:
    if name == "PixtralProcessor":
        return RowwiseProcessor
    found = getattr(transformers, name, None)
    if found is None:
        raise LayerhouseError(
            f"this transformers ({transformers.__version__}) knows no {name}; a newer release may, "
            "and a processor that is code of its own repository is not run"
        )
    return image_only(found)


def _further_parts(folder: Path, slots: Collection[str]) -> dict[str, Any]:
    """What a few families need besides: a Q-Former's tokenizer, an idle audio front end."""
    found: dict[str, Any] = {}
    if QFORMER in slots:
        found[QFORMER] = transformers.AutoTokenizer.from_pretrained(folder / QFORMER, **LOCAL)
    if "feature_extractor" in slots:
        found["feature_extractor"] = transformers.AutoFeatureExtractor.from_pretrained(
            folder, **LOCAL
        )
    return found


def _settings(folder: Path) -> dict[str, Any]:
    """What the processor's files say; the more specific file wins."""
    found: dict[str, Any] = {}
    for name in PROCESSOR_FILES:
        path = folder / name
        if path.is_file():
            found = {**read_object(path), **found}
    return found


@dataclass
class Encoder:
    """Turns images into model inputs under one fixed prompt.

    `preprocessing` holds what a registry entry asks for before the image processor sees an image:
    `pad_to_square` (a colour such as "#7a7468", or true for black), `resize` (the side in pixels of
    the square that the image is squeezed into).
    """

    processor: Any
    prompt: str
    preprocessing: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, images: Sequence[Image.Image]) -> dict[str, Any]:
        """The inputs of one batch, on the CPU, left-padded: everything the processor returns."""
        prepared = [self._prepare(image) for image in images]
        options: dict[str, Any] = {"padding": True, "return_tensors": "pt"}
        options |= special_tokens(self.processor, self.prompt)
        found = self.processor(
            images=[[image] for image in prepared], text=[self.prompt] * len(images), **options
        )
        return {name: value for name, value in found.items() if name not in NOT_FOR_THE_MODEL}

    @contextmanager
    def each_image_once(self) -> Iterator[None]:
        """Within the block the image processor works once on the same images, whatever the prompt.

        What it makes of images knows no text; prompts of one batch share it.
        """
        worker: Any = getattr(self.processor, "image_processor", None)
        plain = getattr(worker, "preprocess", None)
        if plain is None:
            yield
            return
        seen: dict[tuple[Any, ...], tuple[Any, Any]] = {}

        def preprocess(images: Any, *args: Any, **kwargs: Any) -> Any:
            key = (repr(_each(images)), repr(args), repr(sorted(kwargs.items(), key=str)))
            if key not in seen:
                seen[key] = images, plain(images, *args, **kwargs)
            found = copy.copy(seen[key][1])
            if isinstance(getattr(found, "data", None), dict):  # whoever takes may take out
                found.data = dict(found.data)
            return found

        worker.preprocess = preprocess
        try:
            yield
        finally:
            del worker.preprocess

    def _prepare(self, image: Image.Image) -> Image.Image:
        if side := self.preprocessing.get("resize"):
            return image.resize((side, side), Image.Resampling.BICUBIC)
        colour = self.preprocessing.get("pad_to_square")
        if not colour or image.width == image.height:
            return image
        side = max(image.size)
        fill = (0, 0, 0) if colour is True else ImageColor.getrgb(colour)
        square = Image.new("RGB", (side, side), fill)
        square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
        return square


def _each(images: Any) -> Any:
    """Which images are meant, one by one, lists of lists among them."""
    if isinstance(images, list | tuple):
        return [_each(image) for image in images]
    return id(images)


def to_device(
    inputs: Mapping[str, Any], device: torch.device, dtype: torch.dtype
) -> dict[str, Any]:
    """Inputs on the model's device, floating-point ones (pixels) in the model's dtype.

    To a GPU they go through pinned memory, which alone can be copied while other work runs.
    """

    def moved(value: Any) -> Any:
        if isinstance(value, Tensor):
            if device.type == "cuda" and value.device.type == "cpu":
                value = value.pin_memory()
            kind = dtype if value.is_floating_point() else value.dtype
            return value.to(device=device, dtype=kind, non_blocking=True)
        if isinstance(value, list | tuple):
            return type(value)(moved(item) for item in value)
        return value

    return {name: moved(value) for name, value in inputs.items()}
