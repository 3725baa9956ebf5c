"""Be the content of a file that is made of others: `JoinedFiles`."""

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

from fastapi_filestore.storage.backend import Join, ObjectStream, StorageBackend
from fastapi_filestore.storage.fallbacks import join_of


class StoredFile(Protocol):
    """A file whose bytes are in a store."""

    @property
    def size(self) -> int | None:
        """How many they are."""
        ...

    @property
    def path(self) -> str | None:
        """The path of its object."""
        ...

    def backend_in_use(self) -> StorageBackend:
        """Return the backend that holds its bytes."""
        ...

    async def open_async(self) -> ObjectStream:
        """Open its bytes."""
        ...


@dataclass(frozen=True, slots=True)
class JoinedFiles:
    """The bytes of stored files, one after the other.

    Attributes:
        files: The files.
        checksum: The SHA-256 of all, in hexadecimal digits, if it is known.
    """

    files: Sequence[StoredFile]
    checksum: str | None = None

    @property
    def size(self) -> int:
        """How many there are."""
        return sum(file.size or 0 for file in self.files)

    @property
    def paths(self) -> list[str]:
        """The paths of their objects."""
        return [str(file.path) for file in self.files]

    def join_in(self, backend: StorageBackend) -> Join | None:
        """Return what makes an object of them inside their store; None if that can't be, or if they are elsewhere."""
        return join_of(backend) if all(file.backend_in_use() is backend for file in self.files) else None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for file in self.files:
            async with aclosing(await file.open_async()) as stream:
                async for chunk in stream:
                    yield chunk
