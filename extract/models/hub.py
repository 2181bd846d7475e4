"""The hub: a model's files from the local cache or over the network, only those that are needed."""

from pathlib import Path
from typing import Any

from warehouse.errors import LayerhouseError

ALWAYS = ("*.json", "*.jinja", "*.txt", "*.model", "qformer_tokenizer/*")
WEIGHTS = ("*.safetensors",)
"""The files of a repository that are fetched, and those that are where its weights are needed."""


def download(
    hub: str,
    revision: str,
    subfolder: str | None = None,
    *,
    gated: bool,
    weights: bool,
    fetch: bool = True,
) -> Path:
    """The folder of a repository's files; of a subfolder's alone where one is meant.

    Without `fetch` only what the cache has is taken. Raises LayerhouseError for a repository that
    is gated, unknown or out of reach.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    wanted = [*ALWAYS, *(WEIGHTS if weights else ())]
    if subfolder is not None:
        wanted = [f"{subfolder}/{pattern}" for pattern in wanted]
    arguments: dict[str, Any] = {"revision": revision, "allow_patterns": wanted}
    arguments["local_files_only"] = not fetch
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
        which = hub if revision == "main" else f"{hub} at revision {revision}"
        if not fetch:
            raise LayerhouseError(f"{which} is not on this machine yet") from error
        raise LayerhouseError(
            f"{which} is not in the local cache and the hub cannot be reached; download it on a "
            "machine with network and give the folder"
        ) from error
