"""Content of every form, and files made of it."""

import io
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Any

import pytest
from starlette.datastructures import UploadFile

from fastapi_filestore import FileObject, StorageRegistry
from fastapi_filestore.storage.content import READ_SIZE

BODY = os.urandom(3 * READ_SIZE + 1)


def pending(registry: StorageRegistry, content: Any) -> FileObject:
    """A file whose bytes are still to be stored."""
    return FileObject("memory", "a.bin", content=content, registry=registry)


def on_disk(folder: Path) -> Any:
    """Open a file of the bytes."""
    path = folder / "content"
    path.write_bytes(BODY)
    return path.open("rb")


async def generate_async() -> AsyncIterator[bytes]:
    """Yield the bytes in pieces."""
    yield BODY[:100]
    yield BODY[100:]


def generate() -> Iterator[bytes]:
    """Yield the bytes in pieces."""
    yield BODY[:100]
    yield BODY[100:]


class Unseekable:
    """A stream that can only be read, such as a socket's."""

    def __init__(self) -> None:
        self._bytes = io.BytesIO(BODY)

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes."""
        return self._bytes.read(size)


FILES: dict[str, Callable[[Path], Any]] = {"file": on_disk, "BytesIO": lambda folder: io.BytesIO(BODY)}


ONCE: dict[str, Callable[[Path], Any]] = FILES | {
    "unseekable": lambda folder: Unseekable(),
    "generator": lambda folder: generate(),
    "iterator": lambda folder: iter([BODY]),
    "async generator": lambda folder: generate_async(),
}


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[[str], Any]]:
    """Make content of a form, and close it in the end if it is open."""
    with ExitStack() as opened:

        def made(form: str) -> Any:
            content = ONCE[form](tmp_path)
            return opened.enter_context(content) if form in FILES else content

        yield made


@pytest.fixture
def upload() -> Iterator[UploadFile]:
    """A client's file that is on disk already, as long ones are."""
    with SpooledTemporaryFile(max_size=1) as spool:
        spool.write(BODY)
        yield UploadFile(spool, filename="a.bin", size=len(BODY))  # type: ignore[arg-type]
