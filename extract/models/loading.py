"""Loading: from a name, a folder or a hub id to a model that is what it claims to be.

No code from a model's repository is run, no pickled weights are read, and no network is used unless
a hub model was asked for that is not in the local cache.
"""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from extract.models.fingerprints import fingerprint_processor, fingerprint_weights
from extract.models.placement import Placement, offload_folder, quantization_config
from extract.models.plugins import ModelPlugin, plugin_for, runs_by_plugin
from extract.models.published import converted_config, layout_of
from extract.models.registry import RegistryEntry, find, find_published, registry
from warehouse.errors import LayerhouseError, UsageError, nearest

if TYPE_CHECKING:
    import torch

HUB_FILES = ["*.json", "*.safetensors", "*.jinja", "*.txt", "*.model", "qformer_tokenizer/*"]
DTYPES = ("float32", "bfloat16", "float16")


@dataclass(frozen=True)
class ModelSource:
    """Where a model lies and what is known about it, before anything heavy is imported."""

    name: str
    folder: Path
    entry: RegistryEntry | None = None
    revision: str | None = None
    adapter: Path | None = None
    random_seed: int | None = None
    placement: Placement = field(default_factory=Placement)

    @property
    def config(self) -> dict[str, Any]:
        return dict(json.loads((self.folder / "config.json").read_text(encoding="utf-8")))

    @property
    def variant(self) -> str:
        """What is done to the model before it runs; `base` where nothing is."""
        parts = []
        if self.random_seed is not None:
            parts.append(f"random:{self.random_seed}")
        if self.placement.quantization is not None:
            parts.append(f"quantization:{self.placement.quantization}")
        if self.adapter is not None:
            parts.append(f"adapter:{self.adapter.name}")
        return "+".join(parts) or "base"

    def identity(self) -> dict[str, Any]:
        """What of the files decides the model's numbers, as hashes."""
        found: dict[str, Any] = {
            "weights": fingerprint_weights(self.folder),
            "processor": fingerprint_processor(self.folder),
            "preprocessing": dict(self.entry.preprocessing) if self.entry else {},
            "adapter": None,
        }
        if (plugin := plugin_for(self.config)) is not None:
            found["plugin"] = plugin.identity
        if self.placement.quantization is not None:
            found["quantization"] = self.placement.quantization
        if self.adapter is not None:
            found["adapter"] = fingerprint_weights(self.adapter, "adapter_config.json")
        if self.random_seed is not None:
            found["random_seed"] = self.random_seed
        return found


@dataclass(frozen=True)
class LoadedModel:
    """A model ready to run: in evaluation mode, on its device, with its processor."""

    source: ModelSource
    model: Any
    processor: Any
    device: "torch.device"
    dtype: "torch.dtype"
    plugin: "ModelPlugin | None" = None

    @property
    def model_type(self) -> str:
        return str(self.model.config.model_type)

    @property
    def n_parameters(self) -> int:
        return int(self.model.num_parameters())  # packed 4-bit weights count as what they stand for


def locate(
    name: str,
    adapter: str | Path | None = None,
    random_seed: int | None = None,
    placement: Placement | None = None,
) -> ModelSource:
    """Find a model by registry name, local folder or hub id, fetching it if it has to be.

    A string that names an existing folder or starts like a path is a folder. With a `random_seed`
    the model is that architecture untrained: the floor under every probe. Raises UsageError for an
    unknown name and for an adapter of untrained weights, LayerhouseError for a folder that is no
    model and for a failed download.
    """
    source = replace(_locate(name), placement=placement or Placement())
    if random_seed is not None:
        if adapter is not None:
            raise UsageError("an adapter on random weights means nothing; give one of the two")
        if source.placement.placed:
            raise UsageError(
                "random weights are drawn on one device and whole; leave out --quantization and "
                "--device-map"
            )
        if random_seed < 0:
            raise UsageError(f"the seed of random weights must be 0 or more, not {random_seed}")
        return replace(source, random_seed=random_seed)
    if adapter is None:
        return source
    path = Path(adapter)
    if not (path / "adapter_config.json").is_file() or not list(path.glob("*.safetensors")):
        raise UsageError(
            f"{path} is no adapter: it needs adapter_config.json and *.safetensors weights"
        )
    if source.placement.quantization is not None:
        raise UsageError(
            "an adapter is merged into the model's weights, which quantised weights do not allow; "
            "leave out --adapter or --quantization"
        )
    return replace(source, adapter=path.resolve())


def load(
    name: str | ModelSource,
    *,
    device: str = "auto",
    dtype: str = "auto",
    adapter: str | Path | None = None,
    placement: Placement | None = None,
) -> LoadedModel:
    """Load a model with its processor and check that every weight found its place.

    `adapter` and `placement` belong to a model given by name; a ModelSource has its own.

    Raises LayerhouseError with counts and first names for missing, unexpected or misshapen weights,
    for a text-only model, and for a model whose own code would have to run.
    """
    import torch

    source = locate(name, adapter, None, placement) if isinstance(name, str) else name
    where = torch.device(choose_device(device))
    kind: torch.dtype = getattr(torch, choose_dtype(dtype, str(where)))
    plugin = plugin_for(source.config)
    if plugin is not None:
        _refuse_placement(source)
        model, processor = plugin.load(source.folder, kind), plugin.processor(source.folder)
    else:
        from extract.models.processors import load_processor

        _refuse_foreign_code(source)
        processor = load_processor(source.folder, source.entry)
        if source.random_seed is not None:
            model = _untrained(source, kind, source.random_seed)
        else:
            model = _load_weights(source, kind, where)
    if not source.placement.placed:
        model = model.to(where)
    if source.adapter is not None:
        model = _merge_adapter(model, source.adapter)
    if source.placement.device_map is not None:
        where = model.get_input_embeddings().weight.device
        where = where if where.type != "meta" else torch.device("cpu")
    return LoadedModel(source, model.eval(), processor, where, kind, plugin)


def choose_device(device: str) -> str:
    """`auto` is a GPU where there is one; UsageError for a device this machine has not."""
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    kind = device.partition(":")[0]
    present = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if kind not in present:
        raise UsageError(f"unknown device {device!r}{nearest(kind, [*present, 'auto'])}")
    if not present[kind]:
        raise UsageError(f"this machine has no {kind} device; leave --device at auto")
    return device


def choose_dtype(dtype: str, device: str) -> str:
    """`auto` is bfloat16 (or float16) on a GPU and float32 elsewhere."""
    import torch

    if dtype == "auto":
        if not device.startswith("cuda"):
            return "float32"
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return "bfloat16" if native else "float16"
    if dtype not in DTYPES:
        raise UsageError(f"unknown dtype {dtype!r}{nearest(dtype, [*DTYPES, 'auto'])}")
    return dtype


def _locate(name: str) -> ModelSource:
    path = Path(name)
    if path.is_dir() or name.startswith((".", "/", "~")):
        folder = path.expanduser().resolve()
        return _checked(ModelSource(name=folder.name, folder=folder))
    entry = find(name)
    if entry is None and name.count("/") != 1:
        raise UsageError(
            f"unknown model {name!r}{nearest(name.lower(), registry())}; a path of a model folder "
            "or a hub id (owner/name) is taken too"
        )
    if entry is not None and entry.load != "native" and not runs_by_plugin(entry.name):
        raise LayerhouseError(
            f"{entry.title} cannot be loaded: {entry.reason}; convert it to a class of "
            "transformers and give the folder, or write a plug-in (docs/adding-a-model.md)"
        )
    if entry is not None and entry.folder is not None:
        return _checked(ModelSource(entry.name, entry.folder, entry))
    hub = entry.hub if entry is not None and entry.hub else name
    revision = entry.revision if entry is not None else "main"
    folder = _download(hub, revision, gated=entry is not None and entry.gated)
    label = entry.name if entry is not None else hub
    return _checked(ModelSource(label, folder, entry, revision=folder.name))


def _checked(source: ModelSource) -> ModelSource:
    folder = source.folder
    if not folder.is_dir():
        raise LayerhouseError(f"{folder} does not exist")
    if not (folder / "config.json").is_file():
        raise LayerhouseError(
            f"{folder} is no model folder: it has no config.json (a model saved by transformers "
            "has one next to its safetensors weights)"
        )
    if not list(folder.glob("*.safetensors")):
        raise LayerhouseError(
            f"{folder} holds no *.safetensors weights; pickled weights are not read, save the "
            "model again with save_pretrained"
        )
    if source.entry is None and (alike := find_published(source.config)) is not None:
        # A copy of a known model, or a fine-tuned one: where it comes from is not known.
        return replace(source, entry=replace(alike, hub=None, licence="unknown"))
    return source


def _download(hub: str, revision: str, *, gated: bool) -> Path:
    """The model's files from the local cache or the hub."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    arguments: dict[str, Any] = {"revision": revision, "allow_patterns": HUB_FILES}
    try:
        return Path(snapshot_download(hub, **arguments))
    except GatedRepoError as error:
        raise LayerhouseError(
            f"{hub} is gated: accept its terms on the hub and log in with `hf auth login`"
        ) from error
    except RepositoryNotFoundError as error:
        hint = "; it is gated, log in with `hf auth login`" if gated else ""
        raise LayerhouseError(f"the hub knows no model {hub}{hint}") from error
    except (OSError, ValueError) as error:  # every network failure of the client is an OSError
        raise LayerhouseError(
            f"{hub} is not in the local cache and the hub cannot be reached; download it on a "
            "machine with network and give the folder"
        ) from error


def _load_weights(source: ModelSource, dtype: "torch.dtype", device: "torch.device") -> Any:
    import transformers
    from safetensors import SafetensorError

    quiet = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    try:
        config = _model_config(source)
        loader: Any = transformers.AutoModelForImageTextToText
        model, info = loader.from_pretrained(
            source.folder,
            config=config,
            dtype=dtype,
            key_mapping=dict(source.entry.key_mapping) if source.entry else None,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are reported, and refused below
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            **_placed(source.placement, dtype, device),
        )
    except (ValueError, KeyError, OSError, RuntimeError, SafetensorError) as error:
        raise _explained(source, error) from error
    finally:
        transformers.logging.set_verbosity(quiet)
    _refuse_unmatched(source, info)
    return model


def _untrained(source: ModelSource, dtype: "torch.dtype", seed: int) -> Any:
    """The model as its family initialises it, from a seed; the weights of its files are not read.

    Matrices and gates that a family starts at zero (gemma3's projection, mllama's gates) are opened
    too: they keep the image out, and a model that cannot see is no floor for one that can.
    """
    import torch
    import transformers

    config = _model_config(source)
    loader: Any = transformers.AutoModelForImageTextToText
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = loader.from_config(config, dtype=dtype)
            _open_closed(model, getattr(config.get_text_config(), "initializer_range", 0.02))
    except (ValueError, KeyError) as error:
        raise _explained(source, error) from error
    model.tie_weights()
    return model


def _open_closed(model: Any, spread: float) -> None:
    """Draw matrices that are all zero and set single zeros, which are gates, half open."""
    import torch

    with torch.no_grad():
        for weight in model.parameters():
            if weight.any():
                continue
            if weight.numel() == 1:
                weight.fill_(0.5)
            elif weight.dim() >= 2:
                weight.normal_(0.0, spread)


def _refuse_placement(source: ModelSource) -> None:
    if source.placement.placed or source.random_seed is not None:
        raise UsageError(
            f"{source.name} is loaded by a plug-in, whole and on one device; leave out "
            "--quantization, --device-map and --random-weights"
        )


def _model_config(source: ModelSource) -> Any:
    from transformers import AutoConfig

    if source.entry is not None and layout_of(source.folder, source.entry) is not None:
        return converted_config(source.folder, source.entry)
    return AutoConfig.from_pretrained(source.folder, local_files_only=True, trust_remote_code=False)


def _placed(placement: Placement, dtype: "torch.dtype", device: "torch.device") -> dict[str, Any]:
    """What `from_pretrained` is told about places and precisions of weights."""
    options: dict[str, Any] = {}
    if placement.quantization is not None:
        options["quantization_config"] = quantization_config(placement.quantization, dtype)
        options["device_map"] = {"": device}
    if placement.device_map is not None:
        options["device_map"] = placement.device_map
        options["offload_folder"] = offload_folder()
    return options


def _refuse_foreign_code(source: ModelSource) -> None:
    """A model that no class here can hold, and whose repository brings one of its own."""
    from transformers import CONFIG_MAPPING

    kind = source.config.get("model_type", "unknown")
    if "auto_map" not in source.config or kind in CONFIG_MAPPING:
        return
    if layout_of(source.folder, source.entry) is None:
        raise LayerhouseError(
            f"{source.name} ({kind}) needs code from its own repository, which is not run; convert "
            "it to a class of transformers, or write a plug-in (docs/adding-a-model.md)"
        )


def _explained(source: ModelSource, error: Exception) -> LayerhouseError:
    config = source.config
    kind = config.get("model_type", "unknown")
    if "Unrecognized configuration class" in str(error):
        return LayerhouseError(
            f"{source.name} is a {kind} model, which takes no images; give an image-text-to-text "
            "model"
        )
    reason = str(error).strip().split("\n")[0]
    return LayerhouseError(f"{source.name} ({kind}) cannot be loaded: {reason}")


def _refuse_unmatched(source: ModelSource, info: Any) -> None:
    for what in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        # A misshapen weight is reported as (name, shape in the file, shape in the model).
        keys = sorted(k if isinstance(k, str) else str(k[0]) for k in info.get(what) or [])
        if keys:
            raise LayerhouseError(
                f"{source.name} does not fit its class: {len(keys)} {what.partition('_')[0]} "
                f"weights, first {', '.join(keys[:3])}; a model with random parts would be measured"
            )


def _merge_adapter(model: Any, adapter: Path) -> Any:
    """The model with a LoRA merged into its weights, so that its structure stays the same."""
    try:
        from peft import PeftModel
    except ImportError as error:
        raise LayerhouseError(
            "adapters need peft; install it with: pip install 'layerhouse[peft]'"
        ) from error
    try:
        return PeftModel.from_pretrained(model, adapter, is_trainable=False).merge_and_unload()
    except (ValueError, RuntimeError, OSError, KeyError) as error:
        reason = str(error).strip().split("\n")[0]
        raise LayerhouseError(f"the adapter {adapter} does not fit: {reason}") from error
