"""Every failure of a disk, a system or a driver says its reason to operators."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from obstore import exceptions as obstore_errors

from fastapi_filestore import (
    InvalidKeyError,
    ObjectExistsError,
    ObjectNotFoundError,
    StorageError,
    StorageFullError,
    StoragePermissionError,
    StorageTimeoutError,
    StorageUnavailableError,
)
from fastapi_filestore.storage.failures.translate import translate, translating
from fastapi_filestore.storage.obstore_backend import ObstoreBackend
from tests.storage.refusing import KEY, failure

OF_A_NUMBER: dict[str, type[StorageError]] = {
    "ENOSPC": StorageFullError,
    "EDQUOT": StorageFullError,
    "EFBIG": StorageFullError,
    "EROFS": StoragePermissionError,
    "EACCES": StoragePermissionError,
    "EPERM": StoragePermissionError,
    "EMFILE": StorageUnavailableError,
    "ENFILE": StorageUnavailableError,
    "ENOMEM": StorageUnavailableError,
    "EIO": StorageError,
    "ENAMETOOLONG": InvalidKeyError,
    "ENOTDIR": InvalidKeyError,
    "EISDIR": InvalidKeyError,
    "ELOOP": StorageError,
    "ESTALE": StorageUnavailableError,
    "ENOENT": ObjectNotFoundError,
    "EEXIST": ObjectExistsError,
    "EBUSY": StorageUnavailableError,
    "ETIMEDOUT": StorageTimeoutError,
    "ECONNREFUSED": StorageUnavailableError,
    "ECONNRESET": StorageUnavailableError,
    "EBADF": StorageError,
}


SHAPES: dict[str, Callable[[int], BaseException]] = {
    "OSError": lambda number: OSError(number, os.strerror(number), "/srv/SECRET"),
    "text": lambda number: obstore_errors.GenericError(
        f"Generic LocalFileSystem error: Unable to copy data to file: {os.strerror(number)} (os error {number})"
    ),
    "details": lambda number: obstore_errors.GenericError(
        "Generic S3 error: HTTP error: error sending request\n\nDebug source:\nGeneric { source: ConnectError("
        f'"tcp connect error", 127.0.0.1:1, Os {{ code: {number}, kind: Other, message: "SECRET" }})'
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("number", sorted(errno.errorcode))
def test_numbers_of_this_system(number: int, shape: str) -> None:
    """Every number is told by the system's words and by its name, however it comes, with what can be done."""
    error = translate(SHAPES[shape](number), backend="docs", path=KEY)

    assert error is not None
    assert str(error).endswith(f"({os.strerror(number)}, {errno.errorcode[number]}).")
    assert (error.errno, error.code) == (number, errno.errorcode[number])
    assert "SECRET" not in str(error)
    assert type(error) is OF_A_NUMBER.get(errno.errorcode[number], type(error))


@pytest.mark.parametrize(
    "error",
    [
        obstore_errors.GenericError("something else"),
        obstore_errors.BaseError(""),
        obstore_errors.JoinError("JoinError"),
        obstore_errors.NotSupportedError("x"),
        NotImplementedError("x"),
        ValueError("SECRET"),
        OSError("SECRET"),
        OSError(4242, "SECRET"),
    ],
)
def test_what_nobody_knows(error: BaseException) -> None:
    """A failure that says nothing we know is at least called by its name."""
    told = translate(error, backend="docs", path=KEY)

    assert told is not None
    assert told.cause
    assert told.cause in str(told)
    assert "SECRET" not in str(told)


def test_kinds_of_rust_are_told() -> None:
    """Of what only a driver knows, the kinds of its errors are told, and nothing that they hold."""
    text = (
        'Generic S3 error: oops https://host/k?sig=SECRET\n\nDebug source:\nGeneric { store: "S3", source: '
        'NewlyInvented { kind: Quantum, uri: https://host/Secret(1)?sig=SECRET, text: "Hidden (SECRET)" } }'
    )
    told = translate(obstore_errors.GenericError(text), backend="docs", path=KEY)

    assert str(told) == (
        f"Backend 'docs' failed for {KEY!r}: this is all that is known of it (GenericError NewlyInvented Quantum)."
    )


def test_a_folder_is_named(tmp_path: Path) -> None:
    """A local disk is no bucket, and operators read which folder it is about."""
    with pytest.raises(StorageFullError) as caught, translating("docs", folder=tmp_path):
        raise OSError(errno.ENOSPC, "")

    assert str(caught.value).startswith(f"Backend 'docs' in '{tmp_path}' has no room for its folder: free some")


@pytest.fixture
def local(tmp_path: Path) -> ObstoreBackend:
    """A local folder."""
    return ObstoreBackend("docs", tmp_path / "files")


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.ENOSPC, "No space left"), (errno.EROFS, "read-only"), (errno.EACCES, "owner"), (errno.EIO, "disk")],
)
async def test_the_probe_says_what_the_disk_says(
    local: ObstoreBackend, monkeypatch: pytest.MonkeyPatch, number: int, words: str
) -> None:
    """A folder that can't be written is told by the system's reason, and nothing is left in it."""

    def writev(file: int, pieces: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "writev", writev)
    error = await failure(local.probe())

    assert words in str(error)
    assert errno.errorcode[number] in str(error)
    assert local.folder is not None
    assert [*local.folder.iterdir()] == []


async def test_the_probe_leaves_nothing(local: ObstoreBackend) -> None:
    """A folder that can be written is as it was."""
    await local.probe()

    assert local.folder is not None
    assert [*local.folder.iterdir()] == []
