"""Adapters: what a fine-tuning added, merged into the weights it was made for, all of it or none.

peft warns of keys that it did not find or did not need and goes on; a model of which nothing was
fine-tuned would then stand in the lake as the tuned one. Here every key has its place and shape.
"""

import math
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from extract.models.adapter_configs import ELSEWHERE, config_of, unmergeable
from extract.models.adapter_names import (
    PREFIX,
    TUNER,
    KeyNames,
    beginnings,
    due_by_older_names,
    of_their_kinds,
)
from extract.models.files import failing_as, refuse_empty, weight_facts
from extract.models.folders import ADAPTER_CONFIG, ADAPTER_WEIGHTS
from extract.models.quiet import quiet
from extract.models.sources import ModelSource
from warehouse.errors import LayerhouseError
from warehouse.untrusted import read_object

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class _Adapter:
    """An adapter's files, its keys as this release of transformers names their modules.

    `owners` are the modules that the tuner's keys belong to, `named` these and those that the
    adapter brings whole; `n_renamed` keys had older names. `beginnings` are what names of today
    begin with and what the older ones do.
    """

    folder: Path
    config: Any
    weights: "dict[str, Tensor]"
    owners: tuple[str, ...]
    named: tuple[str, ...]
    n_renamed: int
    beginnings: tuple[tuple[str, str], ...]

    def refuse(self, why: str) -> LayerhouseError:
        base = self.config.base_model_name_or_path
        made = f", made for {base}," if base else ""
        return LayerhouseError(f"the adapter {self.folder}{made} does not fit: {why}")


def merge_adapter(source: ModelSource, model: Any) -> tuple[Any, tuple[str, ...]]:
    """The model with its source's adapter merged into its weights, and notes worth showing.

    The structure stays that of the base. Raises LayerhouseError with counts and first names for
    keys that are missing, unexpected or misshapen.
    """
    peft, folder = load_peft(), source.adapter
    assert folder is not None
    with failing_as(f"the adapter {folder} cannot be merged"):
        adapter = _read(peft, folder, model, source.entry.key_mapping if source.entry else {})
        _refuse_offloaded(adapter, model)
        if adapter.n_renamed:
            _name_targets(adapter, model)
        before, tied = _sums(model, adapter.named), _tied_ends(adapter, model)
        tuned = peft.PeftModel(model, adapter.config)
        if tied:  # only now: PiSSA and OLoRA begin by changing the weights that both read
            _give_own_weights(*tied)
        _refuse_unmatched(peft, adapter, tuned)
        peft.set_peft_model_state_dict(tuned, adapter.weights)
        try:
            merged = tuned.merge_and_unload()
        except NotImplementedError as error:
            raise unmergeable(folder, adapter.config, str(error)) from error
        after = _sums(merged, adapter.named)
    broken = [name for name in adapter.named if not all(map(math.isfinite, after[name]))]
    if broken:
        raise adapter.refuse(
            f"it makes weights that are no finite numbers in {merged.dtype}, in {len(broken)} "
            f"modules, first {_first(broken)}"
        )
    same = [name for name in adapter.named if after[name] == before[name]]
    if len(same) == len(adapter.named):
        raise adapter.refuse(
            f"it changes nothing, its {len(same)} modules have the weights that they had: it was "
            f"saved untrained, or its changes are too small for {merged.dtype}"
        )
    return merged, tuple(_notes(adapter, source, [name for name in same if name in adapter.owners]))


def load_peft() -> Any:
    """The package peft; LayerhouseError with what installs it, where it is missing."""
    try:
        with quiet():  # it imports bitsandbytes, which tells of a kernel that nothing here uses
            import peft
    except ImportError as error:
        raise LayerhouseError(
            "adapters need peft; install it with: pip install 'layerhouse[peft]'"
        ) from error
    return peft


def adaptable(model: Any, config: Any) -> Any:
    """A model with an untrained adapter of peft."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of transformers, about peft's own calls
        return load_peft().PeftModel(model, config)


def _read(peft: Any, folder: Path, model: Any, mapping: Mapping[str, str]) -> _Adapter:
    config = config_of(peft, folder)
    tuner = peft.mapping.PEFT_TYPE_TO_PREFIX_MAPPING[config.peft_type]
    found = _weights_of(folder, config, tuner)
    names = KeyNames(model, tuner, mapping)
    renamed = {key: names.of_today(key) for key in found}
    if len(set(renamed.values())) < len(renamed):
        raise LayerhouseError(f"the adapter {folder} holds keys twice, under old and new names")
    owners = {key: owner for key, name in renamed.items() if (owner := names.owner(name, tuner))}
    tails = {key: renamed[key].removeprefix(owner) for key, owner in owners.items()}
    begun = {beginnings(o, names.given(k).removesuffix(tails[k])) for k, o in owners.items()}
    named = {owner for name in renamed.values() if (owner := names.owner(name, *names.starts))}
    if not named:  # all modules share what was trained, as of a UniLoRA
        named = due_by_older_names(config, [("", "")], names.modules)
    return _Adapter(
        folder,
        config,
        {_full(key, name): found[key] for key, name in renamed.items()},
        tuple(sorted(set(owners.values()))),
        tuple(sorted(named)),
        sum(key.removeprefix(PREFIX) != name for key, name in renamed.items()),
        tuple(sorted(begun - {("", "")} or begun)),
    )


def _weights_of(folder: Path, config: Any, tuner: str) -> "dict[str, Tensor]":
    """What was trained, by the adapter's own keys; `tuner` is in those of its kind."""
    import torch
    from safetensors.torch import load_file

    refuse_empty(folder, weight_facts(folder))
    found = load_file(folder / ADAPTER_WEIGHTS)
    bad = [key for key, weight in found.items() if not torch.isfinite(weight).all()]
    if bad:
        raise LayerhouseError(
            f"the adapter {folder} holds values that are not finite in {len(bad)} keys, first "
            f"{bad[0]}"
        )
    brings_whole = bool(getattr(config, "modules_to_save", None))
    if found and not brings_whole and not any(tuner in key for key in found):
        raise LayerhouseError(
            f"the file {folder / ADAPTER_WEIGHTS} holds {len(found)} whole weights and nothing of "
            f"a {config.peft_type.value}; where these are a model's, give it as --model"
        )
    return found


def _full(key: str, name: str) -> str:
    """A key by its name in peft, where what modules share (matrices of VeRA) is the tuner's own."""
    return key if key.startswith(TUNER) and not key.startswith(PREFIX) else PREFIX + name


def _refuse_offloaded(adapter: _Adapter, model: Any) -> None:
    """What a device map leaves on disk is not there to be merged into; peft would go on."""
    away = [
        name
        for name in adapter.owners
        if getattr(getattr(model.get_submodule(name), "weight", None), "is_meta", False)
    ]
    if away:
        raise LayerhouseError(
            f"the adapter {adapter.folder} changes {len(away)} modules that the device map leaves "
            f"off every device, first {away[0]}; keep them on one, or leave out --device-map"
        )


def _name_targets(adapter: _Adapter, model: Any) -> None:
    """Have the adapter's keys say which modules it changes: its patterns are for older names.

    They must be all modules that the patterns name, by what these were called; where patterns and
    older names do not go together, all of their kind (a projection in every layer).
    """
    modules = [name for name, _ in model.named_modules()]
    due = due_by_older_names(adapter.config, adapter.beginnings, modules)
    if not due and getattr(adapter.config, "layers_to_transform", None) is None:
        due = of_their_kinds(adapter.owners, modules)
    if lost := sorted(due - set(adapter.owners)):
        raise adapter.refuse(f"nothing is there for {len(lost)} modules, first {_first(lost)}")
    for pattern in getattr(adapter.config, "alpha_pattern", {}):
        if not any(re.match(rf"(.*\.)?({pattern})$", name) for name in adapter.owners):
            raise adapter.refuse(f"its alpha_pattern names {pattern}, which this model has not")
    adapter.config.target_modules = set(adapter.owners)
    adapter.config.layers_to_transform = adapter.config.exclude_modules = None


def _tied_ends(adapter: _Adapter, model: Any) -> tuple[Any, Any] | None:
    """The head and the input embeddings, where these share weights that an adapter changes.

    Merged into one weight, what belongs to one would count for both, and what both have twice.
    """
    ends = model.get_output_embeddings(), model.get_input_embeddings()
    both = {name for name, module in model.named_modules() if module in ends}
    return ends if both & set(adapter.owners) else None


def untie(model: Any) -> None:
    """Give a model's head weights of its own, where they are those of its input embeddings."""
    _give_own_weights(model.get_output_embeddings(), model.get_input_embeddings())


def _give_own_weights(head: Any, embeddings: Any) -> None:
    from torch import nn

    if head is not None and embeddings is not None and head.weight is embeddings.weight:
        head.weight = nn.Parameter(head.weight.detach().clone())


def _refuse_unmatched(peft: Any, adapter: _Adapter, tuned: Any) -> None:
    due = peft.get_peft_model_state_dict(tuned, save_embedding_layers=False)
    # peft saves whole embeddings beside an adapter that may have changed them.
    known = {name: weight for name, weight in tuned.state_dict().items() if name not in due} | due
    found = adapter.weights
    misshapen = [
        f"{key} {tuple(found[key].shape)}, not {tuple(known[key].shape)}"
        for key in sorted(found.keys() & known.keys())
        if found[key].shape != known[key].shape
    ]
    wrong = {
        "missing": sorted(due.keys() - found.keys()),
        "unexpected": sorted(found.keys() - known.keys()),
        "misshapen": misshapen,
    }
    told = [
        f"{len(keys)} {what} keys, first {_first(keys)}" for what, keys in wrong.items() if keys
    ]
    if told:
        raise adapter.refuse(f"{'; '.join(told)}; {ELSEWHERE}")


def _sums(model: Any, modules: Iterable[str]) -> dict[str, list[float]]:
    """What tells whether modules have changed: the sums of their weights, in double precision."""
    import torch

    return {
        name: [
            float(weight.detach().sum(dtype=torch.float64))
            for weight in model.get_submodule(name).parameters(recurse=False)
        ]
        for name in modules
    }


def _first(names: Sequence[str]) -> str:
    return ", ".join(name.removeprefix(PREFIX) for name in names[:3])


def _notes(adapter: _Adapter, source: ModelSource, same: Sequence[str]) -> Iterable[str]:
    if same:
        yield (
            f"the adapter {adapter.folder.name} leaves {len(same)} of its {len(adapter.owners)} "
            f"modules as they were, first {_first(same)}"
        )
    if adapter.n_renamed:
        yield (
            f"{adapter.n_renamed} keys of the adapter {adapter.folder.name} have names of an older "
            "layout of the model; they were mapped to today's"
        )
    raw = read_object(adapter.folder / ADAPTER_CONFIG)
    unknown = sorted(name for name in raw if raw[name] and not hasattr(adapter.config, name))
    if unknown:
        yield (
            f"the installed peft does not know what the adapter's {', '.join(unknown)} means; a "
            "newer one may"
        )
    if (note := source.adapter_note) is not None:
        yield note
