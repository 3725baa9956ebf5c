"""Random work on a local folder, by several processes as it were, and what each piece of it promises."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path, PurePosixPath
from random import Random

import pytest

from fastapi_filestore.errors import ObjectExistsError, ObjectNotFoundError
from fastapi_filestore.storage.local import copy as local_copy
from fastapi_filestore.storage.local import write as local_write
from fastapi_filestore.storage.obstore_backend import ObstoreBackend
from tests.power.calls import Promise
from tests.power.disk import Disk
from tests.power.judgement import Judgement
from tests.power.recorder import Recorder, recording

SOURCE = "source"
"""Key of what is copied."""
KEYS = ("a", "f/a", "f/b", "f/g/a", "h/i/j/a", "h/b")
STEPS = 12
MOST_AT_ONCE = 4
SYNC_STEP = 300_000
"""Bytes, so that files of a few hundred kilobytes are long ones."""
LONGEST = 1_500_000


class UnreadableError(Exception):
    """Raised by content half-way."""


class Script:
    """Puts, copies and deletions at random, several at once, each on a key of its own."""

    def __init__(self, recorder: Recorder, root: Path, random: Random) -> None:
        self._recorder, self._root, self._random = recorder, root, random
        options = {"automatic_cleanup": True} if random.random() < 0.3 else {}
        self._processes = [ObstoreBackend("local", root, **options) for _ in range(3)]
        self._sizes: dict[str, int] = {}
        self._used = 0

    async def run(self) -> None:
        """Do all of it."""
        await self._put(SOURCE)
        works = (self._put, self._put, self._put, self._fail, self._cancel, self._copy, self._delete, self._settle)
        for _ in range(STEPS):
            keys = self._random.sample(KEYS, self._random.randint(1, MOST_AT_ONCE))
            await asyncio.gather(*(self._random.choice(works)(key) for key in keys))

    async def _put(self, key: str) -> None:
        size, if_absent = self._new_size(), self._random.random() < 0.5
        self._expect(key, size)
        try:
            await self._process().put(key, self._content(size), if_absent=if_absent)
        except ObjectExistsError:
            self._expect(key)
        else:
            self._keep(key, size)

    async def _fail(self, key: str) -> None:
        with suppress(UnreadableError):
            await self._process().put(key, self._content(self._new_size(), fails=True))

    async def _cancel(self, key: str) -> None:
        size = self._new_size()
        self._expect(key, size)
        task = asyncio.create_task(self._process().put(key, self._content(size)))
        await asyncio.sleep(self._random.random() * 0.01)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        if key not in self._sizes:
            await self._delete(key)  # as whoever cancels does, for it may have come too late
        elif (self._root / key).stat().st_size == size:
            self._keep(key, size)

    async def _copy(self, key: str) -> None:
        size = self._sizes[SOURCE]
        self._expect(key, size)
        await self._process().copy(SOURCE, key)
        self._keep(key, size)

    async def _delete(self, key: str) -> None:
        self._sizes.pop(key, None)
        self._recorder.note(Promise(self._path(key)))
        await self._process().delete(key, "missing")
        self._recorder.note(Promise(self._path(key), frozenset({None})))

    async def _settle(self, key: str) -> None:
        with suppress(ObjectNotFoundError):
            await self._process().make_durable(key)

    def _expect(self, key: str, size: int | None = None) -> None:
        """Promise what was there before, or what is about to be."""
        if before := self._sizes.get(key):
            self._recorder.note(Promise(self._path(key), frozenset({before, size or before})))
        else:
            self._recorder.note(Promise(self._path(key)))

    def _keep(self, key: str, size: int) -> None:
        self._sizes[key] = size
        self._recorder.note(Promise(self._path(key), frozenset({size})))

    def _process(self) -> ObstoreBackend:
        return self._random.choice(self._processes)

    def _new_size(self) -> int:
        """Return a size that no other file has."""
        self._used += 1
        return self._random.choice((10, 700, 300_000, LONGEST)) + self._used

    def _path(self, key: str) -> PurePosixPath:
        return PurePosixPath(self._root / key)

    async def _content(self, size: int, *, fails: bool = False) -> AsyncIterator[bytes]:
        for start in range(0, size, 200_000):
            await asyncio.sleep(0)
            yield bytes(min(200_000, size - start))
            if fails and start >= size // 3:
                break
        if fails:
            raise UnreadableError


def play(seed: int, folder: Path) -> Judgement:
    """Run one script below a folder of its own, and cut the power after each of its calls."""
    with recording(folder) as recorder, pytest.MonkeyPatch.context() as monkeypatch:
        for name in ("SYNC_STEP", "STEP", "PIECE"):
            monkeypatch.setattr(local_copy, name, SYNC_STEP)
        monkeypatch.setattr(local_write, "SYNC_STEP", SYNC_STEP)
        monkeypatch.setattr(local_write, "MOST_UNSYNCED", 2 * SYNC_STEP)
        root = recorder.top / "store"
        root.mkdir()
        asyncio.run(Script(recorder, root, Random(seed)).run())  # noqa: S311 - no secret
    judgement = Judgement(Disk(PurePosixPath(recorder.top)))
    judgement.follow(recorder.events)
    real = {PurePosixPath(path): path.stat().st_size for path in root.rglob("*") if path.is_file()}
    assert judgement.disk.files() == real, "a call was not recorded"
    return judgement
