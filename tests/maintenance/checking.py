"""Check applications of a few lines, and tell what was wrong."""

from collections.abc import Iterable

from fastapi_filestore import Filestore, FilestoreSettings, StorageRegistry
from fastapi_filestore.service.check.checked import Checked, Outcome
from fastapi_filestore.storage.backend import StorageBackend
from fastapi_filestore.storage.paths import UPLOADS

QUIET = FilestoreSettings(_env_file=None)
"""Settings of no environment, but of this process's."""


async def checked_backends(*backends: StorageBackend, limit: float = 10) -> dict[str, Checked]:
    """Check backends that are registered by hand, and return the answers about them by their names."""
    registry = StorageRegistry()
    for backend in backends:
        registry.register_backend(backend)
    files = Filestore(settings=QUIET, registry=registry)
    answers = [checked async for checked in files.check(limit=limit)]
    return {checked.name: checked for checked in answers if checked.subject.startswith("backend ")}


def outcomes(answers: Iterable[Checked]) -> dict[str, Outcome]:
    """Return how each went, by its name."""
    return {checked.name: checked.outcome for checked in answers}


async def left_in(backend: StorageBackend) -> list[str]:
    """Return what a check has left in a backend."""
    return [info.path async for info in backend.list() if info.path.startswith(UPLOADS)]
