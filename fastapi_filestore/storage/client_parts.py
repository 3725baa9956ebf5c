"""Define what a store does for clients that store a large file in parts, or by a form, each with a signature."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol, runtime_checkable

from fastapi_filestore.storage.backend import SignedURL

LARGEST_PUT: Final = 5 * 2**30
"""What one request stores at the most, in bytes, where files can be stored in parts: S3's own limit."""
SMALLEST_PART: Final = 5 * 2**20
"""The smallest part but for the last one, in bytes."""
USUAL_PART: Final = 16 * 2**20
"""What a part is usually long, in bytes."""
MOST_PARTS: Final = 10_000


@dataclass(frozen=True, slots=True)
class StoredPart:
    """A part that a client has stored: its number, which counts from 1, its bytes, and the store's name for them."""

    number: int
    size: int
    etag: str


@dataclass(frozen=True, slots=True)
class SignedForm:
    """A form that stores a file when it is posted to `url`: its `fields`, and then a field `file`."""

    url: str
    expires_at: datetime
    fields: Mapping[str, str] = field(repr=False)


class PartsOfClients(Protocol):
    """What a store does for clients that store by themselves what one signed request can't hold."""

    async def begin(self, path: str, *, content_type: str) -> str:
        """Begin to store an object in parts, and return the store's name for that.

        Raises:
            SigningUnavailableError: There are no keys to sign parts with, or what asks the store is not installed.
        """
        ...

    async def sign(
        self, path: str, upload_id: str, number: int, *, expires_in: int, size: int | None = None
    ) -> SignedURL:
        """Presign a URL that stores one part, of `size` bytes if that is known."""
        ...

    async def list(self, path: str, upload_id: str) -> Sequence[StoredPart] | None:
        """Return the parts that are stored, by number; None if there is no such upload, or no more."""
        ...

    async def complete(self, path: str, upload_id: str, parts: Sequence[StoredPart]) -> None:
        """Make an object of parts; it is fine if somebody else just did.

        Raises:
            StorageError: They are none to make an object of, as one before the last that is too short.
        """
        ...

    async def abort(self, path: str, upload_id: str) -> None:
        """Drop the parts; it is fine if there are none any more."""
        ...

    async def sign_form(self, path: str, *, expires_in: int, content_type: str, most: int) -> SignedForm:
        """Sign a form that stores a file of so many bytes at the most."""
        ...


@runtime_checkable
class PartedObjects(Protocol):
    """An optional part of a backend: files that clients store in parts."""

    @property
    def client_parts(self) -> PartsOfClients | None:
        """What does that; None where the store has no such parts."""
        ...


def size_of_parts(size: int | None) -> int:
    """Return how long the parts of a file are, but for the last one: few enough, in whole MiB."""
    mib = 2**20
    needed = -(-(size or 0) // MOST_PARTS)
    return max(USUAL_PART, -(-needed // mib) * mib)
