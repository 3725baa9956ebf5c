"""Reading, copying, deleting and listing, on every store."""

from contextlib import suppress
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastapi_filestore.errors import InvalidKeyError, ObjectNotFoundError, RangeNotSatisfiableError, StorageError
from fastapi_filestore.storage.obstore_backend import ObstoreBackend
from tests.storage.stores import BAD_KEYS, MIB

BODY = bytes(range(256))


@pytest.mark.parametrize(
    "key", ["a b", "My Report (1).pdf", "résumé.pdf", "日本/語", "100%", "a%20b", "a?b#c&d=e+f", "😀"]
)
async def test_readable_keys(backend: ObstoreBackend, key: str) -> None:
    """A file's name may be its key: every operation finds the same object, and its neighbours are left alone."""
    await backend.put(key, b"this")
    await backend.put("neighbour", b"other")
    await backend.copy(key, "copied")

    assert await (await backend.open(key)).read() == b"this"
    assert (await backend.head(key)).path == key
    assert {info.path async for info in backend.list()} == {key, "neighbour", "copied"}

    await backend.delete(key)

    assert {info.path async for info in backend.list()} == {"neighbour", "copied"}


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(key=st.text(st.characters(), min_size=1, max_size=12))
async def test_any_key(backend: ObstoreBackend, key: str) -> None:
    """Any key is one object for every operation, or is refused."""
    await backend.put("neighbour", b"other")
    try:
        await backend.put(key, key.encode(errors="replace"))
    except InvalidKeyError as refused:
        assert refused.path == key
    else:
        assert {info.path async for info in backend.list()} == {key, "neighbour"}
        assert await (await backend.open(key)).read() == key.encode()
        await backend.delete(key)

    assert [info.path async for info in backend.list()] == ["neighbour"]


@pytest.mark.parametrize("key", BAD_KEYS, ids=ascii)
async def test_refused_keys(backend: ObstoreBackend, key: str) -> None:
    """A key that some store would misread is refused by every store and every operation."""
    for operation in (
        backend.put(key, b"x"),
        backend.open(key),
        backend.head(key),
        backend.copy(key, "b"),
        backend.copy("b", key),
        backend.delete(key),
        backend.delete("b", key),
        backend.sign(key, expires_in=60),
    ):
        with pytest.raises(InvalidKeyError) as caught:
            await operation

        assert caught.value.path == key

    assert [info async for info in backend.list()] == []


async def test_key_that_is_a_folder(backend: ObstoreBackend) -> None:
    """What other keys only begin with is no object."""
    await backend.put("a/b/c", b"x")
    for operation in (backend.open("a/b"), backend.head("a"), backend.head("a/b/c/d")):
        with pytest.raises(ObjectNotFoundError):
            await operation

    await backend.delete("a/b", "a/b/c/d")

    assert [info.path async for info in backend.list()] == ["a/b/c"]


async def test_empty_object(backend: ObstoreBackend) -> None:
    """An empty object can be read whole, by its first bytes, copied and headed."""
    await backend.put("k", b"")
    await backend.copy("k", "l")

    assert (await backend.head("l")).size == 0
    assert await (await backend.open("l")).read() == b""
    assert await (await backend.open("l", start=0, end=10)).read() == b""


@pytest.mark.parametrize(("start", "end"), [(256, None), (256, 300), (1000, 2000), (5, 4), (-1, None), (257, 257)])
async def test_unsatisfiable_ranges(backend: ObstoreBackend, start: int, end: int | None) -> None:
    """A range that begins at or after the end, before the start, or ends before it begins is refused."""
    await backend.put("k", BODY)
    with pytest.raises(RangeNotSatisfiableError) as caught:
        await backend.open("k", start=start, end=end)

    assert caught.value.size in (256, None)
    assert (caught.value.size == 256) is (start >= 256)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=200), start=st.integers(0, 220), length=st.none() | st.integers(0, 220))
async def test_any_range(backend: ObstoreBackend, body: bytes, start: int, length: int | None) -> None:
    """Any range is what slicing the bytes gives, or is refused because it begins after them."""
    end = None if length is None else start + length
    await backend.put("k", body)
    try:
        result = await (await backend.open("k", start=start, end=end)).read()
    except RangeNotSatisfiableError:
        assert start >= len(body)
    else:
        assert result == body[start:end]


async def test_long_object_in_chunks(backend: ObstoreBackend) -> None:
    """A long object is read in chunks, never as one piece."""
    await backend.put("k", BODY * (20 * MIB // 256))
    sizes = [len(chunk) async for chunk in await backend.open("k")]

    assert sum(sizes) == 20 * MIB
    assert max(sizes) <= 4 * MIB


async def test_list(backend: ObstoreBackend) -> None:
    """A listing is in the order of keys and tells path, size, time and entity tag as a head does."""
    keys = ["a/b c", "a/c/d", "b/z", "b/é", "c/😀", "d e", "e"]
    for key in reversed(keys):
        await backend.put(key, key.encode())
    listed = [info async for info in backend.list()]

    assert [info.path for info in listed] == keys
    for info in listed:
        head = await backend.head(info.path)
        assert (info.size, info.etag) == (head.size, head.etag)
        assert abs((info.last_modified - head.last_modified).total_seconds()) < 2


@settings(max_examples=50, deadline=None)
@given(names=st.sets(st.text("ab-/.é0", min_size=1, max_size=6), max_size=12), after=st.text("ab-/0", max_size=4))
async def test_local_order(names: set[str], after: str) -> None:
    """A local folder lists in the order of keys, though it holds folders."""
    with TemporaryDirectory() as folder:
        backend = ObstoreBackend("local", folder)
        for name in names:
            with suppress(InvalidKeyError):
                await backend.put(name, b"x")
        listed = [info.path async for info in backend.list()]

        assert listed == sorted(listed)
        assert [info.path async for info in backend.list(after=after)] == [key for key in listed if key > after]


async def test_probe(backend: ObstoreBackend) -> None:
    """A probe of a backend that works says nothing, whether or not there are objects, and leaves nothing."""
    await backend.probe()
    await backend.put("k", b"x")
    await backend.probe()
    await backend.probe(write=False)

    assert [info.path async for info in backend.list()] == ["k"]


async def test_closed(backend: ObstoreBackend) -> None:
    """A closed backend raises on any use, and can be closed again."""
    await backend.put("k", b"x")
    await backend.aclose()
    await backend.aclose()
    for operation in (
        backend.put("k", b"x"),
        backend.open("k"),
        backend.head("k"),
        backend.delete("k"),
        backend.probe(),
    ):
        with pytest.raises(StorageError, match="closed"):
            await operation
