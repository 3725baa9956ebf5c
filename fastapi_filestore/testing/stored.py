"""Assert what is stored: `assert_stored`."""

from fastapi_filestore.concurrency.blocking import run_blocking
from fastapi_filestore.errors import FilestoreError
from fastapi_filestore.file_object import FileObject
from fastapi_filestore.storage.content import Buffer

SHOWN = 40
"""Bytes of a content that a message shows."""


def assert_stored(
    file: FileObject | None, content: Buffer, *, filename: str | None = None, content_type: str | None = None
) -> None:
    """Assert that a file's bytes are in its store and are these, and that the row's size agrees with them.

    >>> assert_stored(row.file, b"hello", filename="a.txt")

    It blocks, and is for asynchronous tests as well: it reads on an event loop of the library's own. There is nothing
    to forget an `await` of. Where the backend is one of the test's own that lives on the test's loop, `await
    assert_stored_async(...)`.

    Args:
        file: The file of a row.
        content: The bytes that it is to have.
        filename: Its name, if that is to be compared, too.
        content_type: Its type, if that is.

    Raises:
        AssertionError: It is none, is not stored, or is another one; the message says what is there instead.
    """
    run_blocking(assert_stored_async(file, content, filename=filename, content_type=content_type))


async def assert_stored_async(
    file: FileObject | None, content: Buffer, *, filename: str | None = None, content_type: str | None = None
) -> None:
    """Assert what `assert_stored` does, on the running event loop."""
    if not isinstance(content, Buffer):
        raise TypeError(f"What a file is compared with is bytes, and not a {type(content).__name__}: write b'...'.")
    given: object = file  # whatever it is annotated as
    if not isinstance(given, FileObject):
        hint = ": compare its items, one by one" if isinstance(given, list) else ""
        raise AssertionError(  # noqa: TRY004 - it is for what is asserted
            f"There is no file, but {given!r}{hint}; {_shown(bytes(content))} was expected."
        )
    file = given
    name = f"{file.filename!r} in backend {file.backend!r}"
    if not file.is_stored:
        raise AssertionError(f"{name} is not stored: {file.state.value}.")
    try:
        stored = await file.get_content_async()
    except FilestoreError as error:
        raise AssertionError(f"{name} can't be read: {error}") from error
    if stored != content:
        pairs = enumerate(zip(stored, content, strict=False))
        place = next((place for place, (is_, should) in pairs if is_ != should), min(len(stored), len(content)))
        raise AssertionError(
            f"{name} holds {_shown(stored)} instead of {_shown(bytes(content))}; they differ from byte {place:,} on."
        )
    for what, wanted, found in (
        ("size", len(stored), file.size),
        ("filename", filename, file.filename),
        ("content_type", content_type, file.content_type),
    ):
        if wanted is not None and wanted != found:
            raise AssertionError(f"{what} of {name} is {found!r} instead of {wanted!r}.")


def _shown(content: bytes) -> str:
    """Return the beginning of bytes, and how many there are."""
    more = "..." if len(content) > SHOWN else ""
    return f"{len(content):,} bytes {bytes(content[:SHOWN])!r}{more}"
