"""Sources: from a name, a folder or a hub id to the files of a model, before they are read.

`locate` asks in this order: a folder of this machine, a name of the registry, a hub id. No network
is used unless a hub model was asked for that is not in the local cache.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from extract.models.bases import check_base, revision_note
from extract.models.by_fold import fold_repairs
from extract.models.fingerprints import (
    WHOLE,
    fingerprint_by_windows,
    fingerprint_config,
    fingerprint_processor,
    fingerprint_weights,
)
from extract.models.folders import (
    ADAPTER_CONFIG,
    ANSWER_PART,
    MEND_RECORD,
    has_weights,
    is_answer_part,
    refuse_no_model,
    refuse_unfit_adapter,
)
from extract.models.hub import download
from extract.models.naming import meant
from extract.models.placement import Placement
from extract.models.plugins import plugin_for, runs_by_plugin
from extract.models.published import find_published, layout_of
from extract.models.quantized import quantization_of
from extract.models.registry import RegistryEntry, find, find_alike
from extract.models.safety import refuse_unsafe_adapter
from warehouse.errors import LayerhouseError, UsageError
from warehouse.untrusted import read_object, refuse_unsafe_weights
from warehouse.variants import MEND, joined
from warehouse.vocabulary import SHUFFLED_LABELS, STAGES

SNAPSHOT = re.compile(r"/models--([^/]+?)--([^/]+)/snapshots/([0-9a-f]{40})((?:/[^/]+)*)$")
"""Where the hub's cache keeps one revision of a repository."""
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True)
class ModelSource:
    """Where a model lies and what is known about it, before anything heavy is imported.

    `adapter_note` says what is not certain about the adapter's base.
    """

    name: str
    folder: Path
    entry: RegistryEntry | None = None
    revision: str | None = None
    adapter: Path | None = None
    adapter_note: str | None = None
    random_seed: int | None = None
    placement: Placement = field(default_factory=Placement)

    @property
    def config(self) -> dict[str, Any]:
        return read_object(self.folder / "config.json")

    @property
    def answer_part(self) -> Path | None:
        """The file of its repair that scores classes and changes no weights, if it has one."""
        folder = next(filter(None, self.fold_repairs), self.adapter)
        return folder / ANSWER_PART if folder is not None and is_answer_part(folder) else None

    @property
    def _adapter_config(self) -> str | None:
        return ADAPTER_CONFIG if self.answer_part is None else None

    @property
    def fold_repairs(self) -> tuple[Path | None, ...]:
        """By fold what answers its samples, where that is not one adapter for all."""
        return () if self.adapter is None else fold_repairs(self.adapter)

    def of_fold(self, fold: int) -> "ModelSource":
        """What answers the samples of a fold."""
        return replace(self, adapter=self.fold_repairs[fold])

    def _adapter_identity(self, adapter: Path) -> str:
        """Of its weights; of a repair by folds those of all of them, in their order."""
        if not (folders := self.fold_repairs):
            return fingerprint_weights(adapter, self._adapter_config)
        config = self._adapter_config
        marks = [folder and fingerprint_weights(folder, config) for folder in folders]
        return "folds:" + sha256(repr(marks).encode()).hexdigest()[:16]

    @property
    def published_quantization(self) -> str | None:
        """How the weights of the files are quantised; those of an untrained model are not read."""
        return None if self.random_seed is not None else quantization_of(self.config)

    @property
    def quantization(self) -> str | None:
        """How the model's weights are quantised, as asked for or as published."""
        return self.placement.quantization or self.published_quantization

    @property
    def variant(self) -> str:
        """What is done to the model before it runs; `base` where nothing is."""
        parts = []
        if self.random_seed is not None:
            parts.append(f"random:{self.random_seed}")
        if self.quantization is not None:
            parts.append(f"quantization:{self.quantization}")
        if self.adapter is not None:
            parts.append(_named_by(self.adapter))
        return joined(parts)

    def identity(self) -> dict[str, Any]:
        """What of the files decides the model's numbers, as hashes."""
        is_trained = self.random_seed is None
        fingerprint = fingerprint_weights if is_trained else fingerprint_config
        found: dict[str, Any] = {
            "weights": fingerprint(self.folder),
            "processor": fingerprint_processor(self.folder),
            "adapter": None,
            **beside_files(self.config, self.entry),
        }
        layout = layout_of(self.folder, self.entry)
        if layout is not None and "revision" in layout:
            found["layout_revision"] = layout["revision"]
        if self.placement.quantization is not None:
            found["quantization"] = self.placement.quantization
        if self.adapter is not None:
            found["adapter"] = self._adapter_identity(self.adapter)
        if self.random_seed is not None:
            found["random_seed"] = self.random_seed
        return found

    def identity_by_windows(self, identity: dict[str, Any]) -> dict[str, Any]:
        """An identity as versions stated it that read large files of weights by windows."""
        found = dict(identity)
        if identity["weights"].startswith(WHOLE):
            found["weights"] = fingerprint_by_windows(self.folder)
        if self.adapter is not None and identity["adapter"].startswith(WHOLE):
            found["adapter"] = fingerprint_by_windows(self.adapter, self._adapter_config)
        return found

    def identities_by_weights(self, identity: dict[str, Any]) -> list[dict[str, Any]]:
        """Identities as versions stated them that named the weights of an untrained model's files,
        of which it has none; empty where there are no such files."""
        if self.random_seed is None or not has_weights(self.folder):
            return []
        stated = fingerprint_weights(self.folder), fingerprint_by_windows(self.folder)
        return [identity | {"weights": weights} for weights in dict.fromkeys(stated)]


def beside_files(config: Mapping[str, Any], entry: RegistryEntry | None) -> dict[str, Any]:
    """What of a model's identity no file of it says: by the registry, and of its plug-in."""
    found: dict[str, Any] = {"preprocessing": dict(entry.preprocessing) if entry else {}}
    if (plugin := plugin_for(config)) is not None:
        found["plugin"] = plugin.identity
    if entry is not None and entry.repetition_penalty is not None:
        found["repetition_penalty"] = entry.repetition_penalty
    return found


def _named_by(adapter: Path) -> str:
    """How a variant names its adapter: by its folder, and what was mended as such."""
    if not (adapter / MEND_RECORD).is_file():
        return f"adapter:{adapter.name}"
    record = read_object(adapter / MEND_RECORD)
    stage, repair, shuffled = (record.get(key) for key in ("stage", "repair", "shuffled"))
    if stage not in STAGES or not re.fullmatch("[a-z-]+", str(repair)):
        raise LayerhouseError(f"{adapter / MEND_RECORD} names no repair of a stage; mend it anew")
    return mend_variant(f"{stage}/{repair}", is_shuffled=shuffled is True)


def mend_variant(title: str, *, is_shuffled: bool) -> str:
    """How a variant names a repair, STAGE/REPAIR."""
    return f"{MEND}:{title}" + (f"/{SHUFFLED_LABELS}" if is_shuffled else "")


def locate(
    name: str,
    adapter: str | Path | None = None,
    random_seed: int | None = None,
    placement: Placement | None = None,
    *,
    fetch: bool = True,
) -> ModelSource:
    """Find a model by registry name, local folder or hub id, fetching it if it has to be.

    A string that names an existing folder or starts like a path is a folder. With a `random_seed`
    the model is that architecture untrained, the floor under every probe: configuration and
    processor are all that is fetched and all that a folder must hold. Raises UsageError for an
    unknown name and for an adapter of untrained weights, LayerhouseError for a folder that is no
    model, for a failed download, and without `fetch` for one that is not on this machine.
    """
    found = _locate(name, weights=random_seed is None, fetch=fetch)
    source = replace(found, placement=placement or Placement())
    published = source.published_quantization
    if published is not None and source.placement.quantization is not None:
        raise UsageError(
            f"the weights of {source.name} are quantised already ({published}); leave out "
            "--quantization"
        )
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
    return source if adapter is None else _adapted_by_fold(source, Path(adapter))


def locate_processor(name: str) -> ModelSource:
    """As `locate`, for one who only asks how the model is prompted: weights are not fetched."""
    return _locate(name, weights=False)


def known_facts(name: str) -> dict[str, Any]:
    """What is known of a model: by the registry, else by its files.

    Raises as `locate_processor`; a hub id that the registry lacks is looked up on the hub.
    """
    entry = find(name)
    if entry is not None:
        return asdict(entry) | {"pinned": entry.pinned}
    source = locate_processor(name)
    config = source.config
    known = {} if source.entry is None else asdict(source.entry)
    return known | {
        "name": source.name,
        "folder": source.folder,
        "family": config.get("model_type"),
        "variant": source.variant,
    }


def _adapted_by_fold(source: ModelSource, path: Path) -> ModelSource:
    """The model with an adapter, or with one for each fold."""
    if folders := fold_repairs(path):
        found = [_adapted(source, folder) for folder in folders if folder is not None]
        if not found:
            raise UsageError(f"of the repairs in {path} none helps; leave out --adapter")
        return replace(found[0], adapter=path.resolve())
    record = path / MEND_RECORD
    if record.is_file() and read_object(record).get("fold") is not None:
        raise UsageError(
            f"{path} is the repair for one fold alone; give the folder that it lies in as --adapter"
        )
    return _adapted(source, path)


def _adapted(source: ModelSource, path: Path) -> ModelSource:
    refuse_unfit_adapter(path)
    if is_answer_part(path):
        if source.quantization is not None:
            raise UsageError(
                f"the repair {path.name} was fitted on weights that are not quantised "
                f"({source.quantization}); leave out --adapter or the quantisation"
            )
        return replace(source, adapter=path.resolve())
    if source.quantization is not None:
        way_out = (
            "leave out --adapter or --quantization"
            if source.placement.quantization is not None
            else "give the adapter's base in full precision"
        )
        raise UsageError(
            "an adapter is merged into the model's weights, which quantised weights "
            f"({source.quantization}) do not allow; {way_out}"
        )
    refuse_unsafe_adapter(path / ADAPTER_CONFIG)
    told = read_object(path / ADAPTER_CONFIG)
    recorded = told.get("base_model_name_or_path")
    known = [source.name, source.folder.name, str(source.config.get("_name_or_path", ""))]
    if source.entry is not None:
        known += [source.entry.name, source.entry.hub or ""]
    note = check_base(path, str(recorded or ""), source.folder, known)
    note = note or revision_note(path, told, source.revision)
    return replace(source, adapter=path.resolve(), adapter_note=note)


def _locate(name: str, *, weights: bool, fetch: bool = True) -> ModelSource:
    folder, entry = meant(name)
    if folder is not None:
        return _checked(_cached(folder) or ModelSource(folder.name, folder), weights=weights)
    if entry is not None and entry.load != "native" and not runs_by_plugin(entry.name):
        raise LayerhouseError(
            f"{entry.title} cannot be loaded: {entry.reason}; convert it to a class of "
            "transformers and give the folder, or write a plug-in (docs/adding-a-model.md)"
        )
    if entry is not None and entry.folder is not None:
        return _checked(ModelSource(entry.name, entry.folder, entry), weights=weights)
    if entry is not None and entry.hub:
        owner_and_name, subfolder = entry.hub, entry.subfolder
    else:
        owner_and_name, subfolder = _split(name)
    if not HUB_ID.fullmatch(owner_and_name):
        raise UsageError(
            f"{name} is no folder that is there and no hub id: these are owner/name, without an "
            "address before or a revision behind"
        )
    revision = entry.revision if entry is not None else "main"
    gated = entry is not None and entry.gated
    root = download(owner_and_name, revision, subfolder, gated=gated, weights=weights, fetch=fetch)
    label = entry.name if entry is not None else name
    folder = root / subfolder if subfolder else root
    return _checked(ModelSource(label, folder, entry, revision=root.name), weights=weights)


def _cached(folder: Path) -> ModelSource | None:
    """A folder of the hub's cache as the model that it is; None for every other folder."""
    snapshot = SNAPSHOT.search(folder.as_posix())
    if snapshot is None:
        return None
    owner, repository, revision, inner = snapshot.groups()
    hub = f"{owner}/{repository}{inner}"
    entry = find(hub)
    return ModelSource(entry.name if entry else hub, folder, entry, revision=revision)


def _split(name: str) -> tuple[str, str | None]:
    """`owner/name/sub/folder` as the repository and the folder of it that is meant."""
    owner, repository, *subfolder = name.strip("/").split("/")
    return f"{owner}/{repository}", "/".join(subfolder) or None


def _checked(source: ModelSource, *, weights: bool) -> ModelSource:
    folder = source.folder
    refuse_no_model(folder, weights=weights)
    refuse_unsafe_weights(folder)
    config = source.config
    alike = find_published(config) or find_alike(config, folder.name)
    if source.entry is None and alike is not None:
        # A copy of a known model, or a fine-tuned one: where it comes from is not known.
        return replace(source, entry=replace(alike, hub=None, licence="unknown"))
    return source
