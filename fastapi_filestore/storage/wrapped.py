"""Put a backend inside another one that counts, delays or changes what passes: `WrappedBackend`."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, ClassVar

from fastapi_filestore.storage.backend import ObjectInfo, ObjectStream, StorageBackend
from fastapi_filestore.storage.content import Content

OPTIONAL = (
    *(
        "copy",
        "sign",
        "sign_once",
        "client_parts",
        "probe",
        "aclose",
        "sign_download",
        "sign_for_proxy",
        "public_url",
        "place",
        "url",
        "folder",
    ),
    *("unfinished_uploads", "abort_upload", "make_durable", "drop_unfinished", "remains_of", "has_links", "listed_as"),
)
"""What the optional protocols of a backend ask for."""


class WrappedBackend:
    """A backend that passes every call on to another one: override what you want otherwise.

    >>> class CountedBackend(WrappedBackend):
    ...     async def head(self, path: str) -> ObjectInfo:
    ...         heads.inc()
    ...         return await super().head(path)
    >>> files = Filestore(get_session, wrap=CountedBackend)

    It can do what the other one can, and says so: it signs if that signs. `withheld` names methods that it is not to
    have: one that encrypts withholds all ways past itself, `{"copy", "sign", "sign_download", "sign_for_proxy",
    "public_url", "folder"}`. What withholds or overrides `sign` has only the `sign_once` and `client_parts` that it
    defines itself.
    """

    withheld: ClassVar[frozenset[str] | set[str]] = frozenset()

    def __init__(self, inner: StorageBackend) -> None:
        """Wrap a backend."""
        self.inner = inner
        # As attributes of its own, so that isinstance finds of a protocol what the backend inside has, and no more.
        own_sign = "sign" in self.withheld or hasattr(type(self), "sign")
        for name in OPTIONAL:
            if name in {"sign_once", "client_parts"} and own_sign:
                continue
            if name not in self.withheld and not hasattr(type(self), name) and hasattr(inner, name):
                setattr(self, name, getattr(inner, name))

    @property
    def key(self) -> str:
        """The key of the backend inside."""
        return self.inner.key

    async def put(
        self,
        path: str,
        content: Content,
        *,
        content_type: str | None = None,
        content_disposition: str | None = None,
        metadata: Mapping[str, str] | None = None,
        if_absent: bool = False,
        **parts: Any,
    ) -> ObjectInfo:
        """Store content; `parts` says in which."""
        return await self.inner.put(
            path,
            content,
            content_type=content_type,
            content_disposition=content_disposition,
            metadata=metadata,
            if_absent=if_absent,
            **parts,
        )

    async def open(self, path: str, *, start: int = 0, end: int | None = None) -> ObjectStream:
        """Open an object, or a range of it."""
        return await self.inner.open(path, start=start, end=end)

    async def head(self, path: str) -> ObjectInfo:
        """Return what the store knows of an object."""
        return await self.inner.head(path)

    async def delete(self, *paths: str) -> None:
        """Delete objects."""
        await self.inner.delete(*paths)

    def list(self, prefix: str = "", *, after: str | None = None) -> AsyncIterator[ObjectInfo]:
        """Iterate objects."""
        return self.inner.list(prefix, after=after)


def unwrapped(backend: StorageBackend) -> StorageBackend:
    """Return the backend inside all that is wrapped around it."""
    while isinstance(backend, WrappedBackend):
        backend = backend.inner
    return backend
