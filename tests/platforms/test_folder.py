"""A local folder as a store, on whichever platform this is."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fastapi_filestore import (
    FileObject,
    InvalidKeyError,
    ObjectExistsError,
    ObjectNotFoundError,
    ObstoreBackend,
    StorageError,
    StorageRegistry,
)

MIB = 1024 * 1024


async def pieces(count: int, size: int = MIB) -> AsyncIterator[bytes]:
    """Yield bytes one piece after the other, as a client sends them."""
    for number in range(count):
        yield bytes([number % 256]) * size


async def content(backend: ObstoreBackend, path: str) -> bytes:
    """Return the bytes of an object."""
    return await (await backend.open(path)).read()


async def keys(backend: ObstoreBackend) -> list[str]:
    """Return the keys of all objects."""
    return [info.path async for info in backend.list()]


async def test_what_is_stored_is_read(folder: ObstoreBackend) -> None:
    """Bytes come back as they were, line ends included, whole and in part."""
    text = b"one\r\ntwo\nthree\x1a\x00four"
    await folder.put("a/b", text)

    assert await content(folder, "a/b") == text
    assert await (await folder.open("a/b", start=3, end=8)).read() == text[3:8]


async def test_long_content(folder: ObstoreBackend) -> None:
    """Content that comes piece by piece is stored whole."""
    stored = await folder.put("a", pieces(20))

    assert (stored.size, (await folder.head("a")).size) == (20 * MIB, 20 * MIB)
    assert await (await folder.open("a", start=19 * MIB)).read() == bytes([19]) * MIB


async def test_a_listing_agrees_with_a_head(folder: ObstoreBackend) -> None:
    """Size, moment and entity tag are the same, whoever is asked."""
    for key in ("b/c", "a", "b-c"):
        await folder.put(key, key.encode())
    listed = [info async for info in folder.list()]

    assert [info.path for info in listed] == ["a", "b-c", "b/c"]
    assert [await folder.head(info.path) for info in listed] == listed


async def test_an_object_is_replaced(folder: ObstoreBackend) -> None:
    """The new bytes take the place of the old ones."""
    await folder.put("a", b"old")
    await folder.put("a", b"new")

    assert (await content(folder, "a"), await keys(folder)) == (b"new", ["a"])


async def test_nothing_is_overwritten(folder: ObstoreBackend) -> None:
    """Of many that may only go where nothing is, one goes there."""
    puts = [folder.put("a", bytes([number]), if_absent=True) for number in range(10)]
    results = await asyncio.gather(*puts, return_exceptions=True)

    assert sum(isinstance(result, ObjectExistsError) for result in results) == 9
    assert len(await content(folder, "a")) == 1


async def test_copies_and_deletions(folder: ObstoreBackend) -> None:
    """A copy is an object of its own; a missing one is no error to delete."""
    await folder.put("a/b", b"bytes")
    await folder.copy("a/b", "c/d")
    await folder.delete("a/b", "missing")

    assert await content(folder, "c/d") == b"bytes"
    with pytest.raises(ObjectNotFoundError):
        await folder.head("a/b")


async def test_an_object_that_is_read_while_it_goes(folder: ObstoreBackend) -> None:
    """What is read is read to its end, and what is deleted is gone then, at once or when it is deleted once more."""
    await folder.put("a", pieces(4))
    stream = await folder.open("a")
    chunks = aiter(stream)
    first = await anext(chunks)
    try:
        await folder.delete("a")
    except StorageError:  # Windows keeps what somebody reads
        rest = [chunk async for chunk in chunks]
        await folder.delete("a")
    else:
        rest = [chunk async for chunk in chunks]

    assert sum(map(len, [first, *rest])) == 4 * MIB
    assert await keys(folder) == []


async def test_a_failing_upload_leaves_nothing(folder: ObstoreBackend) -> None:
    """Content that fails in its middle leaves neither an object nor a file."""

    async def failing() -> AsyncIterator[bytes]:
        yield b"x" * MIB
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await folder.put("a/b", failing())

    assert folder.folder is not None
    assert [path for path in folder.folder.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("key", ["../a", "a/../../b", "/a", "a\\..\\..\\b", "a//b"])
async def test_no_key_leads_out(folder: ObstoreBackend, key: str) -> None:
    """A key that leads out of the folder, however this platform would read it, is refused."""
    with pytest.raises(InvalidKeyError):
        await folder.put(key, b"bytes")


async def test_a_file_is_saved_confirmed_and_copied(registry: StorageRegistry) -> None:
    """The value does on every platform what it does anywhere, blocking or not."""
    file = await FileObject("files", "ä.txt", content=b"bytes", registry=registry).save_async()
    confirmed = await FileObject("files", "b.txt", path=file.path, registry=registry).confirm_async()
    twin = await file.copy_async()
    blocking = await asyncio.to_thread(FileObject("files", "c.txt", content=b"c", registry=registry).save)

    assert (confirmed.size, confirmed.etag) == (5, file.etag)
    assert await twin.get_content_async() == b"bytes"
    assert await blocking.get_content_async() == b"c"


async def test_a_folder_is_given_by_its_url(tmp_path: Path) -> None:
    """The URL that a path has on this platform is the way to the same folder."""
    backend = ObstoreBackend("files", (tmp_path / "by url").as_uri())
    await backend.put("a", b"bytes")

    assert (tmp_path / "by url" / "a").read_bytes() == b"bytes"
    assert backend.place == ObstoreBackend("files", tmp_path / "by url").place


async def test_a_probe(folder: ObstoreBackend, tmp_path: Path) -> None:
    """A folder that can be used is found to be one."""
    await folder.probe()

    assert (tmp_path / "files").is_dir()
