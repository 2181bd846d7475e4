"""Deep baselines: transformers' own image classifiers, from scratch or from weights."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import torch
from huggingface_hub import snapshot_download
from PIL.Image import Image, Resampling
from torch import Tensor, nn
from transformers import AutoConfig, AutoImageProcessor, AutoModelForImageClassification

from analysis.baselines.architectures import Architecture, Options, Plan
from analysis.baselines.descent import (
    FROM_SCRATCH,
    FROM_WEIGHTS,
    LabelledPixels,
    Schedule,
    fit,
    predict,
)
from analysis.baselines.images import SIDES, LabelledImages, Trained
from analysis.devices import choose_device
from analysis.logits import widen
from analysis.probes import weights_for
from warehouse.errors import LayerhouseError, UsageError, said
from warehouse.untrusted import refuse_unsafe_weights
from warehouse.vocabulary import SPLITS

SIDE_OF_WEIGHTS = 224
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@dataclass(frozen=True)
class Origin:
    """Where a network comes from: how to build it for n classes, and what identifies it."""

    build: Callable[[int, int], nn.Module]
    settings: dict[str, Any]
    schedule: Schedule
    side: int | None = None
    standard: tuple[tuple[float, ...], tuple[float, ...]] | None = None


def plan(architecture: Architecture, options: Options) -> Plan:
    """What training this network with these options means.

    Raises UsageError for weights of another architecture or a device that is not there, and
    LayerhouseError for weights that cannot be had.
    """
    origin = _from_weights(architecture, options.weights) if options.weights else None
    origin = origin or _from_scratch(architecture)
    schedule = origin.schedule.at_most(options.epochs)
    side = options.side or origin.side
    settings = {**origin.settings, **schedule.settings(), "side": side or list(SIDES)}
    name = architecture.name
    stored_as = f"{name}:{Path(options.weights).name}" if options.weights else name
    device = torch.device(choose_device(options.device))
    train = partial(_train, origin=origin, schedule=schedule, asked_side=side, device=device)
    return Plan(stored_as, settings, train)


def _from_scratch(architecture: Architecture) -> Origin:
    model_type = architecture.model_type
    assert model_type is not None

    def build(n_classes: int, side: int) -> nn.Module:
        config = AutoConfig.for_model(
            model_type, num_labels=n_classes, **_sized(architecture, side)
        )
        if architecture.class_name:
            config.architectures = [architecture.class_name]
        return AutoModelForImageClassification.from_config(config)

    settings = {"weights": None, "configuration": dict(architecture.small)}
    return Origin(build, settings, FROM_SCRATCH)


def _sized(architecture: Architecture, side: int) -> dict[str, Any]:
    """The small configuration for images of this side."""
    if architecture.model_type == "timm_wrapper":
        return {**architecture.small, "model_args": {"img_size": side}}
    return {**architecture.small, "image_size": side}


def _from_weights(architecture: Architecture, weights: str) -> Origin:
    folder, config = _opened(architecture, weights)
    if config.model_type != architecture.model_type:
        raise UsageError(
            f"{weights} is a {config.model_type} and not a {architecture.model_type}; name the "
            "architecture it has"
        )

    def build(n_classes: int, side: int) -> nn.Module:
        del side  # towers with positions of their own keep the side they were trained with
        return _load(folder, n_classes)

    size = getattr(config, "image_size", None)
    is_local = Path(weights).is_dir()
    fingerprint = _fingerprint(folder) if is_local else folder.name  # the hub's revision
    settings = {"weights": Path(weights).name, "fingerprint": fingerprint}
    side = size if isinstance(size, int) else SIDE_OF_WEIGHTS
    return Origin(build, settings, FROM_WEIGHTS, side, _standard(folder))


def _opened(architecture: Architecture, weights: str) -> tuple[Path, Any]:
    """A folder, or what is fetched of a hub id, neither pickles nor code; its configuration."""
    try:
        folder = Path(weights)
        if not folder.is_dir():
            folder = Path(snapshot_download(weights, allow_patterns=["*.json", "*.safetensors"]))
        if not (folder / "config.json").exists():
            raise OSError("there is no config.json")
        if not any(folder.glob("*.safetensors")):
            raise OSError("there are no safetensors files, and pickled weights are not read")
        refuse_unsafe_weights(folder)
        return folder, AutoConfig.from_pretrained(folder, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise LayerhouseError(
            f"no weights at {weights} ({said(error)}); give a local folder with config.json and "
            f"model.safetensors, or a hub id such as {architecture.hub}"
        ) from error


def _load(folder: Path, n_classes: int) -> nn.Module:
    """The network with its trained weights and a fresh head for `n_classes`.

    Raises LayerhouseError if any weight but the head's is missing or left over: transformers
    would fill it with random numbers and go on.
    """
    model, found = AutoModelForImageClassification.from_pretrained(
        folder,
        num_labels=n_classes,
        ignore_mismatched_sizes=True,
        output_loading_info=True,
        use_safetensors=True,
        trust_remote_code=False,
    )
    head = _head(model.config)
    odd = set(found["missing_keys"]) | {name for name, *_ in found["mismatched_keys"]}
    odd = (odd - head) | set(found["unexpected_keys"])
    if odd:
        raise LayerhouseError(
            f"the weights {folder} do not fit {type(model).__name__}: {min(odd)} and "
            f"{len(odd) - 1} others are missing, left over or of another shape"
        )
    return model


def _head(config: Any) -> set[str]:
    """Names of the weights whose shape depends on the number of classes."""
    shapes = []
    for n_classes in (3, 5):
        sized = type(config).from_dict({**config.to_dict(), "num_labels": n_classes})
        with torch.device("meta"):
            model = AutoModelForImageClassification.from_config(sized)
        shapes.append({name: weight.shape for name, weight in model.state_dict().items()})
    return {name for name, shape in shapes[0].items() if shape != shapes[1][name]}


def _fingerprint(folder: Path) -> str:
    """The content of a local folder's weights."""
    digest = blake2b(digest_size=8)
    for file in sorted(folder.glob("*.safetensors")):
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _standard(folder: Path) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per channel that the weights were trained with."""
    try:
        processor = AutoImageProcessor.from_pretrained(
            folder, backend="pil", trust_remote_code=False
        )
    except (OSError, ValueError):
        return IMAGENET
    return tuple(processor.image_mean), tuple(processor.image_std)


def _train(
    images: LabelledImages,
    seed: int,
    *,
    origin: Origin,
    schedule: Schedule,
    asked_side: int | None,
    device: torch.device,
) -> Trained:
    """Train with early stopping on val; logits of the best epoch on val and test.

    Images are squares of uint8 in memory, 3 × side² bytes each. One seed fixes the initial
    weights, the order, dropout and augmentation; torch's random state is left as it was.
    """
    side = asked_side or images.side
    pixels = torch.stack(images.each(partial(_square, side=side)))
    train, val, test = (torch.from_numpy(images.rows[split]) for split in SPLITS)
    mean, std = origin.standard or _moments(pixels[train])
    standardise = partial(_standardise, mean=mean, std=std, device=device)
    seen = np.unique(images.class_index[images.rows["train"]])
    place = torch.from_numpy(np.searchsorted(seen, images.class_index))
    known = torch.from_numpy(np.isin(images.class_index, seen))
    val_known = val[known[val]]
    weights = {
        name: weights_for(images.score, place[rows])
        for name, rows in (("train", train), ("val", val_known))
    }
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        model = _taking(origin.build(len(seen), side), side).to(device)
        chosen = fit(
            model,
            standardise,
            LabelledPixels(pixels[train], place[train], weights["train"]),
            LabelledPixels(pixels[val_known], place[val_known], weights["val"]),
            schedule,
            torch.Generator().manual_seed(seed),
        )
    val_logits, test_logits = (
        widen(predict(model, standardise, pixels[rows]), seen, images.n_classes)
        for rows in (val, test)
    )
    parameters = sum(weight.numel() for weight in model.parameters())
    return Trained(val_logits, test_logits, {**chosen, "side": side, "n_parameters": parameters})


def _taking(model: nn.Module, side: int) -> nn.Module:
    """The model, if images of this side go through it; LayerhouseError otherwise."""
    try:
        with torch.inference_mode():
            model.eval()(torch.zeros(1, 3, side, side))
    except (RuntimeError, ValueError) as error:
        raise LayerhouseError(
            f"{type(model).__name__} takes no images of {side} × {side} pixels "
            f"({str(error).splitlines()[0]}); try --side 128 or 224"
        ) from error
    return model


def _square(image: Image, side: int) -> Tensor:
    resized = image.resize((side, side), Resampling.BILINEAR)
    return torch.from_numpy(np.asarray(resized).transpose(2, 0, 1).copy())


def _moments(pixels: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per channel of images [n, 3, side, side], as of values 0…1."""
    values = pixels.flatten(2).double() / 255
    mean, std = values.mean((0, 2)), values.transpose(0, 1).flatten(1).std(1).clamp(min=1e-3)
    return tuple(mean.tolist()), tuple(std.tolist())


def _standardise(
    pixels: Tensor,
    *,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    device: torch.device,
) -> Tensor:
    values = pixels.to(device).float() / 255
    return (values - values.new_tensor(mean)[:, None, None]) / values.new_tensor(std)[:, None, None]
