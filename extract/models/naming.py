"""Naming: what a model's name means, before anything of the model is read or fetched."""

import shlex
from pathlib import Path

from extract.models.folders import refuse_no_model
from extract.models.registry import RegistryEntry, named_checkpoint, registry
from warehouse.errors import UsageError, nearest, said
from warehouse.variants import OPTIONS, taken_apart


def refuse_unknown(name: str) -> None:
    """Raise UsageError for a name that is neither a path nor a hub id, and that nobody knows;
    LayerhouseError for the path of nothing. Nothing is read or fetched of the model.
    """
    folder, _ = meant(name)
    if folder is not None and not folder.exists():
        refuse_no_model(folder, weights=False)


def meant(name: str) -> tuple[Path | None, RegistryEntry | None]:
    """The folder that a name is, else what the registry knows of it, if it does."""
    try:
        is_folder = Path(name).is_dir() or name.startswith((".", "/", "~"))
        folder = Path(name).expanduser().resolve() if is_folder else None
    except (OSError, RuntimeError) as error:  # a name too long, or of no user
        raise UsageError(f"{name[:99]} cannot be a folder: {said(error)[:99]}") from error
    entry = None if folder is not None else named_checkpoint(name)
    if folder is None and entry is None:
        _refuse_variant(name)
    if folder is None and entry is None and "/" not in name:
        raise UsageError(
            f"unknown model {name!r}{nearest(name.lower(), registry())}; a path of a model folder "
            "or a hub id (owner/name) is taken too"
        )
    return folder, entry


def _refuse_variant(name: str) -> None:
    """UsageError for a model's name with its variant, by which a lake knows it."""
    base, changes = taken_apart(name)
    if not changes:
        return
    asked = [(OPTIONS[kind], value) for kind, value in changes]
    words = [w for opt, value in asked for w in (opt, "PATH" if opt == "--adapter" else value)]
    raise UsageError(
        f"{name} is what a lake calls a variant of {base}: give that name, and what was done to it "
        f"as options of its own, {shlex.join(words)}"
    )
