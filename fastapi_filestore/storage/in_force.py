"""What the settings of several applications say of one registry: the last one to start counts, until it ends."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from fastapi_filestore.storage.registry import StorageRegistry
from fastapi_filestore.storage.signing import UrlSigner


@dataclass(frozen=True, slots=True, eq=False)
class Wishes:
    """What one application wants of its registry; None where it wants nothing."""

    url_seconds: int
    max_upload_size: int | None
    signer: UrlSigner | None = None
    default: str | None = None


@dataclass(slots=True)
class _Standing:
    """What a registry was before the first application, and what those that run want, the oldest first."""

    before: Wishes
    running: list[Wishes] = field(default_factory=list[Wishes])


_standings: "WeakKeyDictionary[StorageRegistry, _Standing]" = WeakKeyDictionary()


@contextmanager
def in_force(registry: StorageRegistry, wishes: Wishes) -> Iterator[None]:
    """Have a registry be as an application wants while the block runs, whichever of several ends first."""
    before = Wishes(registry.url_seconds, registry.max_upload_size, registry.signer)
    standing = _standings.setdefault(registry, _Standing(before))
    standing.running.append(wishes)
    _settle(registry, standing)
    try:
        yield
    finally:
        standing.running.remove(wishes)
        _settle(registry, standing)
        if not standing.running:
            del _standings[registry]


def _settle(registry: StorageRegistry, standing: _Standing) -> None:
    wanted = [standing.before, *standing.running]
    registry.url_seconds, registry.max_upload_size = wanted[-1].url_seconds, wanted[-1].max_upload_size
    registry.signer = next((one.signer for one in reversed(wanted) if one.signer is not None), None)
    default = next((one.default for one in reversed(wanted) if one.default is not None), None)
    if default is not None and default in registry:
        registry.default_key = default
