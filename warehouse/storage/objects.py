"""What lies behind an s3:// or gs:// URL: objects, their client, and its errors in one sentence."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from warehouse.errors import LayerhouseError, UsageError

SCHEMES = {"s3": "s3", "gs": "gcs", "memory": "s3"}
"""The schemes of a bucket's URL, and the extra that each needs; memory:// ends with the process."""

AT_ONCE = 16
"""Requests under way at the same time."""

SPENT = b"joined by a later commit\n"
"""What an object holds of which only the name is of use any more; a listing tells it by its size,
which no record has."""

_PIECE = 8 * 2**20
_RETRIES = {"max_retries": 4}
_CLIENT = {"connect_timeout": "5s", "timeout": "120s"}


@dataclass(frozen=True)
class Entry:
    """One object of a listing; `tag` changes whenever its bytes do, `written` is by the server's
    clock."""

    size: int
    tag: str
    written: datetime


@lru_cache(maxsize=16)
def objects_at(url: str) -> Objects:
    """The bucket behind a URL, one client per process."""
    return Objects(url)


class Objects:
    """The objects under a bucket's URL; keys are relative to it and use forward slashes.

    Every method raises LayerhouseError, in one sentence, where the bucket cannot be reached, does
    not exist or refuses.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    @cached_property
    def _client(self) -> Any:
        return _library(self.url)

    @cached_property
    def _store(self) -> Any:
        obstore = self._client
        options = dict(_CLIENT)
        # A server on this machine or in this network speaks HTTP, if its address says so.
        if any(os.environ.get(name, "").startswith("http://") for name in _ENDPOINTS):
            options["allow_http"] = True  # type: ignore[assignment]
        with self._spoken():
            if self.url.startswith("memory:"):
                return obstore.store.MemoryStore()
            return obstore.store.from_url(self.url, client_options=options, retry_config=_RETRIES)

    def entries(self, prefix: str) -> dict[str, Entry]:
        """Every object whose key begins with the folder `prefix`, or all of them for ''."""
        obstore = self._client
        with self._spoken():
            return {
                item["path"]: Entry(
                    item["size"],
                    item["e_tag"] or str(item["last_modified"]),
                    item["last_modified"],
                )
                for page in obstore.list(self._store, prefix or None)
                for item in page
            }

    def read(self, key: str) -> bytes:
        obstore = self._client
        with self._spoken():
            return bytes(obstore.get(self._store, key).bytes())

    def read_all(self, keys: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """The objects' bytes, several requests at a time, in the order of the keys."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            yield from zip(keys, pool.map(self.read, keys), strict=True)

    def tail(self, key: str, n: int) -> tuple[bytes, int]:
        """The last `n` bytes of an object, or all that it has, and its size."""
        obstore = self._client
        with self._spoken():
            found = obstore.get(self._store, key, options={"range": {"suffix": n}})
            return bytes(found.bytes()), found.meta["size"]

    def span(self, key: str, start: int, stop: int) -> bytes:
        """Bytes start … stop-1 of an object."""
        obstore = self._client
        with self._spoken():
            return bytes(obstore.get_range(self._store, key, start=start, end=stop))

    def create(self, key: str, content: bytes) -> bool:
        """Make an object where there is none of that name; False where there is one.

        At one instant, whoever else tries: this is what commits rest on.
        """
        obstore = self._client
        with self._spoken():
            try:
                obstore.put(self._store, key, content, mode="create", use_multipart=False)
            except obstore.exceptions.AlreadyExistsError:
                return False
            return True

    def upload(self, path: Path, key: str) -> None:
        """Store a file under a key that nobody else uses."""
        obstore = self._client
        with self._spoken(), path.open("rb") as file:
            obstore.put(self._store, key, file)

    def download(self, key: str, path: Path) -> str:
        """Write an object's bytes to `path`; returns their blake2b-256 as hex."""
        with path.open("wb") as file:
            return self._through(key, file)

    def checksum(self, key: str) -> str:
        """The blake2b-256 of an object's bytes as hex, without keeping them."""
        return self._through(key, None)

    def _through(self, key: str, file: Any) -> str:
        obstore = self._client
        digest = blake2b(digest_size=32)
        with self._spoken():
            for piece in obstore.get(self._store, key).stream(min_chunk_size=_PIECE):
                digest.update(piece)
                if file is not None:
                    file.write(piece)
        return digest.hexdigest()

    def copy(self, key: str, other: str) -> None:
        obstore = self._client
        with self._spoken():
            obstore.copy(self._store, key, other)

    def delete(self, keys: Sequence[str]) -> None:
        """Remove objects; one that is gone already is no error."""
        obstore = self._client
        with self._spoken():
            for key in keys:
                try:
                    obstore.delete(self._store, key)
                except FileNotFoundError:
                    continue

    def spend(self, keys: Sequence[str]) -> None:
        """Leave of objects nothing but their names, which nobody can take any more."""
        obstore = self._client
        with self._spoken():
            for key in keys:
                obstore.put(self._store, key, SPENT)

    @contextmanager
    def _spoken(self) -> Iterator[None]:
        """The client's errors, which take a page each, as one sentence."""
        exceptions = self._client.exceptions
        try:
            yield
        except (exceptions.BaseError, FileNotFoundError, PermissionError) as error:
            said = str(error)
            if "NoSuchBucket" in said:
                raise UsageError(
                    f"there is no bucket {urlsplit(self.url).netloc} at {self._server()}; make it "
                    "with the tools of your storage, or name another with --lake or LAYERHOUSE_LAKE"
                ) from error
            if isinstance(error, FileNotFoundError):
                raise
            refused = (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError)
            if isinstance(error, (*refused, PermissionError)) or any(
                mark in said for mark in _NO_CREDENTIALS
            ):
                raise LayerhouseError(
                    f"{self._server()} refuses access to {self.url}; set credentials that may "
                    f"list, read and write there ({_credentials(self.url)})"
                ) from error
            raise LayerhouseError(
                f"cannot reach {self.url} at {self._server()}: {_reason(said)}; what was "
                "committed before is safe, and the same command goes on from there"
            ) from error

    def _server(self) -> str:
        asked = next((os.environ[name] for name in _ENDPOINTS if os.environ.get(name)), None)
        return asked or {"s3": "Amazon S3", "gs": "Google Cloud Storage"}.get(
            urlsplit(self.url).scheme, self.url
        )


_NO_CREDENTIALS = (
    "//169.254.169.254",
    "AccessDenied",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
)
"""The first: without credentials a client asks the machine's cloud, here without an answer."""

_REASONS = {
    "Connection refused": "nothing listens there",
    "dns error": "there is no such host",
    "timed out": "no reply in time",
    "TimedOut": "no reply in time",
}

_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT", "GOOGLE_BASE_URL")


def _library(url: str) -> Any:
    try:
        import fsspec  # noqa: F401 - DuckDB reads a bucket through it
        import obstore.exceptions
        import obstore.store
    except ImportError as error:
        extra = SCHEMES[urlsplit(url).scheme]
        raise LayerhouseError(
            f"a lake at {url} needs obstore: pip install 'layerhouse[{extra}]'"
        ) from error
    return obstore


def _credentials(url: str) -> str:
    if url.startswith("gs:"):
        return "GOOGLE_APPLICATION_CREDENTIALS, or the machine's own service account"
    return "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, or the machine's own role"


def _reason(said: str) -> str:
    """What lies at the bottom of a client's error, which takes a page, in a few words."""
    for mark, reason in _REASONS.items():
        if mark in said:
            return reason
    status = re.search(r"non-2xx status code: ([^:\n]+)", said)
    return status[1].strip() if status else said.strip().splitlines()[0][:200]
