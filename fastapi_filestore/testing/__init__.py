"""Give your own tests what they need: storage in memory, assertions about files, a store that fails when told to.

pytest finds the fixtures by itself; `pytest_plugins = ["fastapi_filestore.testing"]` in a conftest.py names them for
runs that load no plugins by themselves. Nothing here is imported by the library itself.
"""

from fastapi_filestore.testing.backend_suite import backend_suite
from fastapi_filestore.testing.clock import FrozenClock
from fastapi_filestore.testing.faulty_backend import FaultyBackend
from fastapi_filestore.testing.in_memory import keeping_files_in_memory
from fastapi_filestore.testing.new_files import new_file
from fastapi_filestore.testing.orphans import assert_no_orphans, referenced_paths
from fastapi_filestore.testing.stored import assert_stored, assert_stored_async
from fastapi_filestore_pytest import files_in_memory, memory_storage, sample_file

__all__ = [
    "FaultyBackend",
    "FrozenClock",
    "assert_no_orphans",
    "assert_stored",
    "assert_stored_async",
    "backend_suite",
    "files_in_memory",
    "keeping_files_in_memory",
    "memory_storage",
    "new_file",
    "referenced_paths",
    "sample_file",
]
