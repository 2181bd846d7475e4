"""Sources: from a name, a folder or a hub id to the files of a model, before they are read.

`locate` asks in this order: a folder of this machine, a name of the registry, a hub id. No network
is used unless a hub model was asked for that is not in the local cache.
"""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from extract.models.fingerprints import fingerprint_processor, fingerprint_weights
from extract.models.placement import Placement
from extract.models.plugins import plugin_for, runs_by_plugin
from extract.models.registry import RegistryEntry, find, find_published, registry
from warehouse.errors import LayerhouseError, UsageError, nearest

HUB_FILES = ["*.json", "*.safetensors", "*.jinja", "*.txt", "*.model", "qformer_tokenizer/*"]


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
