"""How content is cut: parts, memory, and which client carries them."""

import asyncio
import os
from collections.abc import AsyncIterator

import pytest
from obstore.store import S3Store

from fastapi_filestore.storage.budget import upload_memory
from fastapi_filestore.storage.obstore.moving.handoff import PROBE
from fastapi_filestore.storage.obstore.moving.parts import plan_parts
from fastapi_filestore.storage.obstore.moving.put import PIECE
from fastapi_filestore.storage.obstore.opening.stores import connect
from fastapi_filestore.storage.obstore_backend import ObstoreBackend
from tests.storage.stores import MIB

UNSET = {"use_multipart": None, "chunk_size": None, "max_concurrency": None}


def test_defaults() -> None:
    """By default an upload holds two parts of 5 MiB."""
    plan = plan_parts("s3", size=None, **UNSET)

    assert (plan.size, plan.concurrency, plan.in_flight, plan.single_limit) == (5 * MIB, 2, 10 * MIB, 5 * MIB)


@pytest.mark.parametrize("size", [0, 50_000 * MIB, 50_001 * MIB, 5_000_000 * MIB])
def test_ten_thousand_parts(size: int) -> None:
    """Parts grow so that content of a known size never needs more than a store takes."""
    plan = plan_parts("s3", size=size, **UNSET)

    assert plan.size * 10_000 >= size
    assert plan.size == 5 * MIB or (plan.size - 1) * 10_000 < size


def test_patience() -> None:
    """What may take long has a client of its own that waits longer, unless the wait was set."""
    connection = connect("s3://b", {"aws_skip_signature": True})
    impatient = connect("s3://b", {"aws_skip_signature": True, "timeout": 5})

    assert connection.patient is connection.patient is not connection.store
    assert isinstance(connection.patient, S3Store)
    assert dict(connection.patient.client_options or {})["read_timeout"] == "15m"
    assert impatient.patient is None


@pytest.mark.parametrize("piece", [PROBE, 100_001, PIECE, 7 * MIB])
async def test_parts_that_take_turns(s3: ObstoreBackend, monkeypatch: pytest.MonkeyPatch, piece: int) -> None:
    """Uploads that have room for one part only take turns part by part, and every byte of them arrives."""
    monkeypatch.setattr(upload_memory, "limit", 5 * MIB)
    body, turns = os.urandom(12 * MIB + 3), list[int]()

    async def content(number: int) -> AsyncIterator[bytes]:
        for start in range(0, len(body), piece):
            turns.append(number)
            yield body[start : start + piece]

    await asyncio.gather(*(s3.put(f"turns/{number}", content(number)) for number in range(3)))

    assert [await (await s3.open(f"turns/{number}")).read() == body for number in range(3)] == [True] * 3
    assert turns != sorted(turns)
    assert upload_memory.held == 0
