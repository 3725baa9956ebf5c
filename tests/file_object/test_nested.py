"""Content that calls blocking twins itself while it is read, and content that is slow: nobody waits for the others."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from fastapi_filestore import FileObject, StorageRegistry

PATIENCE = 60
"""Seconds after which somebody waits for ever."""


class Reading:
    """An open file of the application's own, whose bytes an iterator makes."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes."""
        return next(self._chunks, b"")


def iterated(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Return an iterator as it is."""
    return chunks


@pytest.mark.parametrize("form", [iterated, Reading])
@pytest.mark.parametrize("number", [8, 40])
def test_content_that_calls_blocking_twins(
    registry: StorageRegistry, number: int, form: Callable[[Iterator[bytes]], Iterator[bytes] | Reading]
) -> None:
    """Many files whose content reads and stores others, all of them at the same moment, are stored."""
    meeting = threading.Barrier(number)

    def chunks(name: int) -> Iterator[bytes]:
        other = FileObject("memory", content=iter([b"%d" % name]), registry=registry)
        meeting.wait(PATIENCE)
        yield other.save().get_content()
        meeting.wait(PATIENCE)
        other.delete()
        yield b" and more"

    def save(name: int) -> bytes:
        return FileObject("memory", content=form(chunks(name)), registry=registry).save().get_content()

    with ThreadPoolExecutor(number) as pool:
        saved = list(pool.map(save, range(number), timeout=PATIENCE))

    assert saved == [b"%d and more" % name for name in range(number)]


def test_content_in_content(registry: StorageRegistry) -> None:
    """Content may read a file whose content reads a file, to any depth."""

    def chunks(depth: int) -> Iterator[bytes]:
        yield b"."
        if depth:
            yield FileObject("memory", content=chunks(depth - 1), registry=registry).save().get_content()

    with ThreadPoolExecutor(1) as pool:
        saved = pool.submit(FileObject("memory", content=chunks(50), registry=registry).save)

        assert saved.result(PATIENCE).size == 51


def test_content_that_never_comes(registry: StorageRegistry) -> None:
    """Files whose content keeps everybody waiting delay no other file."""
    number, going_on = 60, threading.Event()
    waiting = threading.Barrier(number + 1)

    def chunks() -> Iterator[bytes]:
        waiting.wait(PATIENCE)
        going_on.wait(PATIENCE)
        yield b"late"

    with ThreadPoolExecutor(number) as pool:
        late = [pool.submit(FileObject("memory", content=chunks(), registry=registry).save) for _ in range(number)]
        waiting.wait(PATIENCE)
        for content in (iter([b"at once"]), b"at once", Reading(iter([b"at once"]))):
            assert FileObject("memory", content=content, registry=registry).save().get_content() == b"at once"
        going_on.set()

        assert [one.result(PATIENCE).size for one in late] == [4] * number
