"""One file in several hands: copied, pickled for a job, written by two sessions at once, or under a key used before."""

import asyncio
import copy
import pickle
from collections.abc import Callable

import pytest
from sqlalchemy.exc import IntegrityError

from fastapi_filestore import FileObject, ObstoreBackend, SharedFileError, StaleFileError, storages
from fastapi_filestore.testing import FaultyBackend
from tests.rows.conftest import LEDGERED, Rows, pending
from tests.rows.models import Document

Travel = Callable[[FileObject], FileObject]
WAYS: list[Travel] = [lambda file: pickle.loads(pickle.dumps(file)), copy.copy, copy.deepcopy]


@pytest.mark.parametrize("travel", WAYS, ids=["pickle", "copy", "deepcopy"])
async def test_a_job_that_runs_twice_undoes_nothing(rows: Rows, backend: ObstoreBackend, travel: Travel) -> None:
    """A queue may deliver a job again: the second run's rollback leaves the first one's bytes."""
    file = await FileObject("rows", "a.txt", content=b"job").save_async()
    identity = await rows.add(title="a", file=travel(file))
    with pytest.raises(IntegrityError):
        await rows.add(title="a", file=travel(file))

    assert await rows.content(identity) == b"job"


@pytest.mark.parametrize("travel", WAYS, ids=["pickle", "copy", "deepcopy"])
async def test_a_copy_is_the_same_file(rows: Rows, travel: Travel) -> None:
    """Two rows can't share an object under two names either, and a row may be given its own file again."""
    file = await FileObject("rows", "a.txt", content=b"copied").save_async()
    identity = await rows.add(title="a", file=travel(file))
    with pytest.raises(SharedFileError):
        await rows.add(title="b", file=travel(file))
    async with rows.work() as work:
        document = await work.get(Document, identity)
        document.file = travel(file)
        await work.commit()

    assert await rows.content(identity) == b"copied"


async def test_of_two_sessions_one_gets_the_file(rows: Rows) -> None:
    """Whoever comes second, at the same time, is refused, and takes no bytes along."""
    file = pending(b"once")
    results = await asyncio.gather(*(rows.add(title=title, file=file) for title in "abc"), return_exceptions=True)

    (identity,) = [result for result in results if isinstance(result, int)]
    assert [type(result) for result in results if not isinstance(result, int)] == [SharedFileError] * 2
    assert await rows.content(identity) == b"once"


async def test_a_file_that_another_session_flushed(rows: Rows) -> None:
    """It is that session's until its transaction ends: the bytes go with its rollback, and are stored anew then."""
    file = pending(b"mine")
    async with rows.work() as first:
        await first.add(Document(title="a", file=file))
        await first.flush()
        with pytest.raises(SharedFileError):
            await rows.add(title="b", file=file)
        await first.rollback()

    assert await rows.content(await rows.add(title="b", file=file)) == b"mine"


async def test_a_refused_file_belongs_to_nobody(rows: Rows) -> None:
    """A flush that was refused for one file does not keep the others."""
    taken, free = pending(b"taken"), pending(b"free")
    async with rows.work() as first:
        await first.add(Document(title="a", file=taken))
        await first.flush()
        async with rows.work() as second:
            await second.add(Document(title="b", pages=[free, taken]))
            with pytest.raises(SharedFileError):
                await second.commit()
            await second.rollback()
        await first.rollback()

    assert await rows.content(await rows.add(title="c", file=free)) == b"free"


@pytest.mark.parametrize("rows", LEDGERED, indirect=True)
async def test_a_key_whose_object_is_still_to_be_deleted(rows: Rows, backend: ObstoreBackend) -> None:
    """A key of one's own is refused while the ledger has a deletion of it, which would take the new bytes."""
    identity = await rows.add(title="a", file=FileObject("rows", "a.txt", content=b"old", path="own/a"))
    storages.register_backend(FaultyBackend(backend, lambda n, call: call == "delete", after=True), replace=True)
    async with rows.work() as work:
        await work.delete(await work.get(Document, identity))
        await work.commit()
    storages.register_backend(backend, replace=True)
    file = FileObject("rows", "a.txt", content=b"new", path="own/a")
    with pytest.raises(StaleFileError):
        await rows.add(title="b", file=file)

    await rows.sweep()

    assert await rows.content(await rows.add(title="b", file=file)) == b"new"
