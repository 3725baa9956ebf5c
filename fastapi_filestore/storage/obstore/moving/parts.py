"""Cut content for an upload: one request if it is short, parts of bounded memory if not."""

from dataclasses import dataclass, replace

from fastapi_filestore.errors import ConfigurationError
from fastapi_filestore.storage.obstore.opening.store_url import Kind

PART_SIZE = 5 * 1024 * 1024
MAX_CONCURRENCY = 2
"""Enough to keep the line busy while the next part is read; 10 MiB for each upload in all."""

MIN_PART_SIZE = 5 * 1024 * 1024
"""Of S3 and GCS, for every part but the last; they complain only at the end of the upload."""
MIN_OTHER_PART_SIZE = 1024 * 1024
"""Of the other stores: below it, requests cost more than bytes."""
MAX_PARTS = 10_000
"""Of S3 and GCS; Azure takes more."""


@dataclass(frozen=True, slots=True)
class PartPlan:
    """Size of a part in bytes, parts in flight, and whether parts are forced (True), forbidden (False) or neither.

    `least` is the memory in bytes that an upload can do with when there is little.
    """

    size: int
    concurrency: int
    forced: bool | None
    least: int = MIN_PART_SIZE

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

    def within(self, memory: int) -> "PartPlan":
        """Return a plan whose parts in flight fit into so many bytes, as far as the store allows."""
        if self.in_flight is None or memory >= self.in_flight:
            return self
        size = max(min(self.size, memory), min(self.least, self.size))
        return replace(self, size=size, concurrency=max(1, min(self.concurrency, memory // size)))


def plan_parts(
    kind: Kind,
    *,
    size: int | None,
    use_multipart: bool | None = None,
    chunk_size: int | None = None,
    max_concurrency: int | None = None,
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
    needed = -(-(size or 0) // MAX_PARTS)
    part = max(part, needed)
    if chunk_size is not None or max_concurrency is not None:
        least = part * concurrency  # what was asked for is not narrowed
    else:
        least = max(needed, MIN_PART_SIZE if kind in ("s3", "gs") else MIN_OTHER_PART_SIZE)
    return PartPlan(part, concurrency, use_multipart, least)
