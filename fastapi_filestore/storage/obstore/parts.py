"""How content is cut for an upload: one request if it is short, parts of bounded memory if not."""

from dataclasses import dataclass

from fastapi_filestore.errors import ConfigurationError
from fastapi_filestore.storage.obstore.location import Kind

PART_SIZE = 8 * 1024 * 1024
MAX_CONCURRENCY = 2
"""Enough to keep the line busy while the next part is read; 16 MiB for each upload in all."""

MIN_PART_SIZE = 5 * 1024 * 1024
"""Of S3 and GCS, for every part but the last; they complain only at the end of the upload."""
MAX_PARTS = 10_000
"""Of S3 and GCS; Azure takes more."""


@dataclass(frozen=True, slots=True)
class PartPlan:
    """Size of a part in bytes, parts in flight, and whether parts are forced (True), forbidden (False) or neither."""

    size: int
    concurrency: int
    forced: bool | None

    @property
    def in_flight(self) -> int | None:
        """Bytes on their way at once; None if there is no bound."""
        return None if self.forced is False else self.size * self.concurrency

    @property
    def single_limit(self) -> int | None:
        """The longest content that goes as one request; None if all does."""
        if self.forced is None:
            return self.size
        return 0 if self.forced else None


def plan_parts(
    kind: Kind,
    *,
    size: int | None,
    use_multipart: bool | None,
    chunk_size: int | None,
    max_concurrency: int | None,
) -> PartPlan:
    """Return how to cut content, of a size in bytes if it is known.

    Raises:
        ConfigurationError: The parts would be smaller than the store takes.
    """
    part = PART_SIZE if chunk_size is None else chunk_size
    concurrency = MAX_CONCURRENCY if max_concurrency is None else max_concurrency
    if part < 1 or concurrency < 1:
        raise ConfigurationError("chunk_size and max_concurrency must be at least 1.")
    if kind in ("s3", "gs") and use_multipart is not False and part < MIN_PART_SIZE:
        raise ConfigurationError(
            f"chunk_size is {part:,} bytes, but this store takes no part under {MIN_PART_SIZE:,}: raise it, leave it "
            "out, or pass use_multipart=False."
        )
    return PartPlan(max(part, -(-(size or 0) // MAX_PARTS)), concurrency, use_multipart)
