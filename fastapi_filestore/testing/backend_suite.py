"""Test that a backend does what the library counts on: `backend_suite`."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from inspect import signature
from itertools import pairwise
from typing import Any

import pytest

from fastapi_filestore.errors import ObjectExistsError, ObjectNotFoundError, RangeNotSatisfiableError, StorageError
from fastapi_filestore.storage.backend import Closable, StorageBackend
from fastapi_filestore.storage.fallbacks import copy_object, probe_store
from fastapi_filestore.storage.paths import generate_path, generate_upload_path

BODY = bytes(range(256))
MANY = 8
"""Calls at once."""
SLACK = timedelta(minutes=1)
"""How far the clock of a store may be from ours."""


def backend_suite(make_backend: Callable[..., StorageBackend]) -> type["BackendSuite"]:
    """Return the tests of a backend as a class, for pytest to find under a name that begins with `Test`.

    >>> TestSQLiteBackend = backend_suite(lambda: SQLiteBackend("archive", ":memory:"))

    Args:
        make_backend: Called for each test, and returns a backend that holds nothing. If it takes an argument, it is
            given pytest's `request`, whose `getfixturevalue("tmp_path")` is the value of a fixture.
    """
    takes_request = bool(signature(make_backend).parameters)

    class Suite(BackendSuite):
        @contextmanager
        def opening(self, request: pytest.FixtureRequest) -> Iterator[StorageBackend]:
            yield make_backend(request) if takes_request else make_backend()

    return Suite


class BackendSuite:
    """The tests; each runs on an event loop of its own, so that no plugin is needed."""

    def opening(self, request: pytest.FixtureRequest) -> AbstractContextManager[StorageBackend]:
        """Return a context that gives the backend of a test."""
        raise NotImplementedError

    @pytest.fixture
    def backend(self, request: pytest.FixtureRequest) -> Iterator[StorageBackend]:
        """Give a test its backend, and close it."""
        with self.opening(request) as backend:
            yield backend
            if isinstance(backend, Closable):
                asyncio.run(close(backend))

    def test_it_is_a_backend(self, backend: StorageBackend) -> None:
        """It has all that the protocol asks for."""
        names = ("put", "open", "head", "delete", "list")
        lacking = [name for name in names if not callable(getattr(backend, name, None))]

        assert not lacking, f"{type(backend).__name__} lacks {', '.join(lacking)}"
        assert isinstance(backend.key, str), f"its key is {backend.key!r}, and must be a str"
        assert backend.key, "its key is empty"

    @pytest.mark.parametrize("body", [b"", b"x", b"hello", BODY * 4096], ids=["empty", "a byte", "short", "one MiB"])
    def test_what_is_put_is_read(self, backend: StorageBackend, body: bytes) -> None:
        """An object comes back byte for byte, and put and head tell the same of it."""

        async def test() -> None:
            path = generate_path()
            info = await backend.put(path, body, content_type="text/plain", metadata={"k": "ü"})
            head = await backend.head(path)
            stream = await backend.open(path)

            assert await stream.read() == body, "what is read is not what was put"
            assert (stream.start, stream.end) == (0, len(body)), "the stream of a whole object is from 0 to its size"
            for told, by in ((info, "put"), (head, "head"), (stream.info, "open")):
                assert (told.path, told.size) == (path, len(body)), f"{by} tells another path or size"
                assert told.last_modified.tzinfo is not None, f"last_modified of {by} has no time zone: use UTC"
                assert abs(told.last_modified - datetime.now(UTC)) < SLACK, f"last_modified of {by} is not now"
            assert info.etag == head.etag == stream.info.etag, "put, head and open tell different entity tags"

        asyncio.run(test())

    @pytest.mark.parametrize("form", ["bytes", "bytearray", "list", "iterator", "async iterator"])
    def test_content_of_every_form(self, backend: StorageBackend, form: str) -> None:
        """Content comes as bytes or in chunks; `read_content` iterates it, whatever it is."""

        async def chunks() -> AsyncIterator[bytes]:
            for start in range(0, len(BODY), 100):
                yield BODY[start : start + 100]

        async def test() -> None:
            pieces = [chunk async for chunk in chunks()]
            forms: dict[str, Any] = {"bytes": BODY, "bytearray": bytearray(BODY), "list": pieces}
            forms |= {"iterator": iter(pieces), "async iterator": chunks()}
            info = await backend.put(path := generate_path(), forms[form])

            assert await (await backend.open(path)).read() == BODY
            assert info.size == len(BODY), "the size is to be counted"

        asyncio.run(test())

    @pytest.mark.parametrize("size", [0, 1, 1024 * 1024, 5 * 1024 * 1024 + 1])
    def test_all_of_a_stream_is_kept(self, backend: StorageBackend, size: int) -> None:
        """A put reads what a client sends to its end, keeps every byte of it, and tells how many there are."""

        async def test() -> None:
            body = (BODY * (size // len(BODY) + 1))[:size]

            async def chunks() -> AsyncIterator[bytes]:
                for start in range(0, size, 100_001):
                    yield body[start : start + 100_001]

            info = await backend.put(path := generate_path(), chunks())

            assert info.size == size, f"put was given {size} bytes, and tells {info.size}"
            assert await (await backend.open(path)).read() == body, "what is read is not what was put"

        asyncio.run(test())

    def test_failing_content_leaves_nothing(self, backend: StorageBackend) -> None:
        """Content that breaks off is no object, and what was at its path stays."""

        async def broken() -> AsyncIterator[bytes]:
            yield b"the beginning"
            raise ConnectionResetError

        async def test() -> None:
            old, new = generate_path(), generate_path()
            await backend.put(old, b"old")
            for path in (old, new):
                with pytest.raises((ConnectionResetError, StorageError)):
                    await backend.put(path, broken())

            assert await (await backend.open(old)).read() == b"old", "half a new object has replaced a whole one"
            assert await paths(backend) == [old], "a put that failed has left an object"

        asyncio.run(test())

    def test_a_cancelled_put_leaves_nothing(self, backend: StorageBackend) -> None:
        """A put whose content never ends is cancelled, and there is no object."""

        async def test() -> None:
            is_read = asyncio.Event()

            async def endless() -> AsyncIterator[bytes]:
                yield b"the beginning"
                is_read.set()
                await asyncio.Event().wait()

            task = asyncio.create_task(backend.put(generate_path(), endless()))
            await asyncio.wait_for(is_read.wait(), 10)
            task.cancel()
            await asyncio.wait({task}, timeout=10)

            assert task.cancelled(), "a put that is cancelled must end, and let CancelledError out"
            assert await paths(backend) == [], "a put that was cancelled has left an object"

        asyncio.run(test())

    def test_putting_again(self, backend: StorageBackend) -> None:
        """A put replaces what was there, and the entity tag, if there are any, tells."""

        async def test() -> None:
            path = generate_path()
            first, second = await backend.put(path, b"first"), await backend.put(path, b"again")

            assert await (await backend.open(path)).read() == b"again"
            assert first.etag != second.etag or first.etag is None, "other bytes have the same entity tag"

        asyncio.run(test())

    def test_if_absent(self, backend: StorageBackend) -> None:
        """With if_absent, of many puts to one path one wins, and the others raise ObjectExistsError."""

        async def test() -> None:
            path, bodies = generate_path(), [b"%d" % number for number in range(MANY)]
            puts = (backend.put(path, body, if_absent=True) for body in bodies)
            results = await asyncio.gather(*puts, return_exceptions=True)
            winners = [body for body, done in zip(bodies, results, strict=True) if not isinstance(done, BaseException)]
            refusals = [done for done in results if isinstance(done, BaseException)]

            assert all(isinstance(refusal, ObjectExistsError) for refusal in refusals), f"they raise {refusals[0]!r}"
            assert len(winners) == 1, f"{len(winners)} puts with if_absent won at one path"
            assert await (await backend.open(path)).read() == winners[0], "the bytes are not those of the one that won"

        asyncio.run(test())

    def test_many_at_once(self, backend: StorageBackend) -> None:
        """Many puts and reads at once neither mix nor lose anything."""

        async def test() -> None:
            bodies = {generate_path(): b"%d" % number * 1000 for number in range(MANY)}
            await asyncio.gather(*(backend.put(path, body) for path, body in bodies.items()))
            streams = await asyncio.gather(*map(backend.open, bodies))

            assert [await stream.read() for stream in streams] == list(bodies.values())

        asyncio.run(test())

    @pytest.mark.parametrize(
        ("start", "end"), [(0, None), (0, 1), (255, 256), (10, 20), (250, 1000), (7, None), (5, 5), (0, 0), (256, 256)]
    )
    def test_ranges(self, backend: StorageBackend, start: int, end: int | None) -> None:
        """A range is what slicing the bytes gives, and the info is the whole object's."""

        async def test() -> None:
            await backend.put(path := generate_path(), BODY)
            stream = await backend.open(path, start=start, end=end)

            assert await stream.read() == BODY[start:end]
            assert (stream.start, stream.end) == (start, min(256, 256 if end is None else end)), "its ends are wrong"
            assert stream.info.size == len(BODY), "the info of a range is that of the whole object"

        asyncio.run(test())

    @pytest.mark.parametrize(("start", "end"), [(256, None), (256, 300), (1000, 2000), (5, 4), (257, 257)])
    def test_ranges_that_are_none(self, backend: StorageBackend, start: int, end: int | None) -> None:
        """A range at or after the end, or one that ends before it begins, raises RangeNotSatisfiableError."""

        async def test() -> None:
            await backend.put(path := generate_path(), BODY)
            with pytest.raises(RangeNotSatisfiableError):
                await backend.open(path, start=start, end=end)

        asyncio.run(test())

    def test_an_empty_object_has_its_beginning(self, backend: StorageBackend) -> None:
        """The first bytes of an empty object are none, and no error."""

        async def test() -> None:
            await backend.put(path := generate_path(), b"")

            assert await (await backend.open(path, start=0, end=10)).read() == b""

        asyncio.run(test())

    def test_a_stream_that_is_not_read_to_its_end(self, backend: StorageBackend) -> None:
        """What is dropped half-way disturbs nobody."""

        async def test() -> None:
            await backend.put(path := generate_path(), BODY * 4096)
            for _ in range(3):
                stream = await backend.open(path)
                async for _ in stream:
                    break
                await stream.aclose()

            assert (await backend.head(path)).size == len(BODY) * 4096

        asyncio.run(test())

    def test_a_missing_object(self, backend: StorageBackend) -> None:
        """A missing object raises ObjectNotFoundError, which says where it should be; to delete it is fine."""

        async def test() -> None:
            path = generate_path()
            operations: list[Coroutine[Any, Any, object]] = [backend.head(path), backend.open(path)]
            operations += [backend.open(path, start=5), copy_object(backend, path, generate_path())]
            for operation in operations:
                with pytest.raises(ObjectNotFoundError) as caught:
                    await operation

                assert (caught.value.backend, caught.value.path) == (backend.key, path), "give backend= and path="
            await backend.delete(path)

        asyncio.run(test())

    def test_deleting(self, backend: StorageBackend) -> None:
        """Several objects go in one call, missing ones are fine, others stay."""

        async def test() -> None:
            gone, stays = [generate_path() for _ in range(MANY)], generate_path()
            for path in (*gone, stays):
                await backend.put(path, b"x")
            await backend.delete(*gone, generate_path(), gone[0])
            await backend.delete()

            assert await paths(backend) == [stays]

        asyncio.run(test())

    def test_listing(self, backend: StorageBackend) -> None:
        """A listing is in the order of paths, and tells of each object what a head tells."""

        async def test() -> None:
            wanted = sorted([*(generate_path() for _ in range(MANY)), "a/1", "a/2/3", "ab/1", "b"])
            for path in reversed(wanted):
                await backend.put(path, path.encode())
            listed = [info async for info in backend.list()]

            assert [info.path for info in listed] == wanted, "a listing has every path once, in order"
            for info in listed:
                head = await backend.head(info.path)
                assert (info.size, info.etag) == (head.size, head.etag), "a listing tells other facts than a head"

        asyncio.run(test())

    def test_listing_a_part(self, backend: StorageBackend) -> None:
        """A prefix is a folder, with or without its slash; a listing goes on after a path, which need not exist."""

        async def test() -> None:
            wanted = ["a/1", "a/2/3", "ab/1", "b"]
            for path in wanted:
                await backend.put(path, b"x")

            assert await paths(backend, "a") == await paths(backend, "a/") == ["a/1", "a/2/3"], "`ab` is not below `a`"
            assert await paths(backend, "a/2") == ["a/2/3"]
            assert await paths(backend, "c") == []
            for before, after in pairwise(wanted):
                assert await paths(backend, after=before) == wanted[wanted.index(after) :], f"after={before!r}"
            assert await paths(backend, "a", after="a/1") == ["a/2/3"]
            assert await paths(backend, after="a/1x") == wanted[1:]
            assert await paths(backend, after="z") == []

        asyncio.run(test())

    def test_copying(self, backend: StorageBackend) -> None:
        """A copy has the bytes, the type and the metadata of its source, replaces what was there, and outlives it."""

        async def test() -> None:
            source, target = generate_path(), generate_path()
            await backend.put(source, BODY, content_type="image/png", metadata={"k": "ü"})
            await backend.put(target, b"old")
            await copy_object(backend, source, target)
            original, copied = await backend.head(source), await backend.head(target)
            await backend.delete(source)

            assert await (await backend.open(target)).read() == BODY
            assert (copied.content_type, copied.metadata) == (original.content_type, original.metadata)

        asyncio.run(test())

    def test_paths_of_uploads(self, backend: StorageBackend) -> None:
        """Where clients store by themselves is a path as any other."""

        async def test() -> None:
            await backend.put(path := generate_upload_path(60), b"x", if_absent=True)

            assert await paths(backend) == [path]

        asyncio.run(test())

    def test_probing(self, backend: StorageBackend) -> None:
        """A probe of a backend that works says nothing and leaves nothing."""

        async def test() -> None:
            await probe_store(backend, write=True)

            assert await paths(backend) == []

        asyncio.run(test())

    def test_several_event_loops(self, backend: StorageBackend) -> None:
        """It works on another event loop than the one that it was used on first."""
        path = generate_path()
        asyncio.run(call(backend.put(path, b"one loop")))

        assert asyncio.run(call(backend.head(path))).size == len(b"one loop")


async def paths(backend: StorageBackend, prefix: str = "", *, after: str | None = None) -> list[str]:
    """Return the paths that a backend lists."""
    return [info.path async for info in backend.list(prefix, after=after)]


async def close(backend: Closable) -> None:
    """Close a backend."""
    await backend.aclose()


async def call(work: Coroutine[Any, Any, Any]) -> Any:
    """Await what a backend does."""
    return await work
