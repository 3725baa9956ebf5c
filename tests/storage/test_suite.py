"""Our own backends pass the suite that is for everybody's, and so do those around others and the one of the docs."""

from functools import partial
from pathlib import Path

import pytest

from fastapi_filestore import StorageBackend, WrappedBackend
from fastapi_filestore.testing import FaultyBackend, backend_suite
from tests.project.page_programs import blocks
from tests.storage.stores import make_backend

_EXAMPLE = blocks("docs/own-backends.md")[0]


def example(request: pytest.FixtureRequest) -> StorageBackend:
    """Return the backend that docs/own-backends.md shows, on a disk."""
    page: dict[str, type] = {}
    exec(compile(_EXAMPLE, "docs/own-backends.md", "exec"), page)  # noqa: S102 - it is ours
    folder: Path = request.getfixturevalue("tmp_path")
    made: StorageBackend = page["SQLiteBackend"]("archive", folder / "files.db")
    return made


TestMemory = backend_suite(partial(make_backend, "memory"))
TestLocal = backend_suite(partial(make_backend, "local"))
TestSeaweedFS = backend_suite(partial(make_backend, "seaweedfs"))
TestAzurite = backend_suite(partial(make_backend, "azurite"))
TestGoogle = backend_suite(partial(make_backend, "gcs"))
TestExample = backend_suite(example)
TestWrapped = backend_suite(lambda request: WrappedBackend(make_backend("local", request)))
TestWrappedExample = backend_suite(lambda request: WrappedBackend(example(request)))
TestFaulty = backend_suite(lambda request: FaultyBackend(example(request), lambda call, name: False))
