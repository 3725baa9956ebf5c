"""The checksum of a stream while it passes by."""

import asyncio
from collections.abc import AsyncGenerator
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastapi_filestore.intake.digests import THREAD_FROM, DigestingStream

SIZES = st.one_of(st.integers(0, 100), st.integers(THREAD_FROM - 2, THREAD_FROM + 2))


async def _chunks(*chunks: bytes) -> AsyncGenerator[bytes, None]:
    for chunk in chunks:
        yield chunk


@settings(max_examples=50, deadline=None)
@given(st.lists(SIZES, max_size=8), st.binary(min_size=1, max_size=3))
async def test_any_chunks(sizes: list[int], seed: bytes) -> None:
    """The digest is hashlib's for any sizes, those hashed in a thread included, and every chunk passes unchanged."""
    chunks = [(seed * (size // len(seed) + 1))[:size] for size in sizes]
    stream = DigestingStream(_chunks(*chunks))

    assert [chunk async for chunk in stream] == chunks
    assert stream.hexdigest == sha256(b"".join(chunks)).hexdigest()


async def test_it_is_read_lazily() -> None:
    """No more than one chunk is read ahead of the consumer."""
    read: list[int] = []

    async def chunks() -> AsyncGenerator[bytes, None]:
        for number in range(10):
            read.append(number)
            yield b"x"

    async for _ in DigestingStream(chunks()):
        break

    assert read == [0]


async def test_the_source_is_closed() -> None:
    """A consumer that stops half-way closes what it was reading from."""
    closed = asyncio.Event()

    async def chunks() -> AsyncGenerator[bytes, None]:
        try:
            yield b"x"
            yield b"y"
        finally:
            closed.set()

    iterator = aiter(DigestingStream(chunks()))
    await anext(iterator)
    assert isinstance(iterator, AsyncGenerator)
    await iterator.aclose()

    assert closed.is_set()


async def test_an_error_of_the_source() -> None:
    """An error of the source is raised as it is."""

    async def chunks() -> AsyncGenerator[bytes, None]:
        yield b"x" * THREAD_FROM
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        [chunk async for chunk in DigestingStream(chunks())]


async def test_a_digest_goes_on() -> None:
    """Of a stream that goes on with others, the digest is that of all, and what is expected of it that of its own."""
    so_far = sha256(b"before ")
    stream = DigestingStream(_chunks(b"af", b"ter"), expected={"sha256": sha256(b"after").digest()}, so_far=so_far)

    assert [chunk async for chunk in stream] == [b"af", b"ter"]
    assert stream.hexdigest == sha256(b"before after").hexdigest()
