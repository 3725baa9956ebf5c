"""The soak: workers and sweepers side by side, one of them killed every few seconds, and the invariants at the end."""

import asyncio
import json
import multiprocessing
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from hashlib import sha256
from multiprocessing.process import BaseProcess
from pathlib import Path
from random import Random
from time import monotonic, sleep
from typing import Final

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from fastapi_filestore import FileObject, ObstoreBackend, storages
from fastapi_filestore.service.sweep.sweep import sweep
from tests.soak import worker
from tests.soak.models import BACKEND, LEDGER, Base, Document
from tests.soak.place import Place

STOP_TIMEOUT = 60.0
READ_AT_ONCE = 20
EXPECTED_ERRORS: Final = {
    "error PlannedError",
    "error NoRowError",
    "error RowNotFoundError",
    "error TimeoutError",
    "error StaleDataError",
    "error StaleFileError",
    "error StaleRowError",
    "error IntentLostError after its time",
}
"""A row that another task deleted meanwhile is gone or stale; an operation slower than the ledger allows is refused."""

_processes = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Load:
    """How much, for how long."""

    seconds: float = 60.0
    workers: int = 4
    tasks: int = 50
    sweepers: int = 2
    kill_every: float = 5.0
    seed: int = 0


@dataclass
class Result:
    """What came of a soak."""

    counts: Counter[str] = field(default_factory=Counter)
    kills: int = 0
    rows: int = 0
    objects: int = 0
    swept_at_end: int = 0
    left_at_end: int = 0
    problems: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Return the numbers, one a line."""
        named = {"kills": self.kills, "swept at the end": self.swept_at_end, "rows": self.rows, "objects": self.objects}
        numbers = {**dict(sorted(self.counts.items())), **named}
        return [f"{name:40}{number:>8}" for name, number in numbers.items()]


class Soak:
    """One run in one place."""

    def __init__(self, place: Place, load: Load, folder: Path) -> None:
        self.place, self.load, self.folder = place, load, folder
        self.random = Random(load.seed)  # noqa: S311 - to choose whom to kill
        self.result = Result()
        self._reports: dict[str, Path] = {}

    async def run(self) -> Result:
        """Run it, and check what is left."""
        await self._create_tables()
        workers = [self._start_worker() for _ in range(self.load.workers)]
        sweepers = [self._start(worker.keep_sweeping) for _ in range(self.load.sweepers)]
        await self._kill_now_and_then(workers)
        await self._stop([*workers, *sweepers])
        self._count()
        await self._check()
        return self.result

    async def _create_tables(self) -> None:
        engine = self.place.engine()
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        await engine.dispose()

    # -- processes ---------------------------------------------------------------------------------------

    def _start_worker(self) -> BaseProcess:
        return self._start(worker.work, tasks=self.load.tasks, seed=f"{self.load.seed} {len(self._reports)}")

    def _start(self, target: Callable[..., None], **options: object) -> BaseProcess:
        report = self.folder / f"report-{len(self._reports)}.json"
        process = _processes.Process(target=target, args=(self.place, report), kwargs=options, daemon=True)
        self._reports[process.name] = report
        process.start()
        return process

    async def _kill_now_and_then(self, workers: list[BaseProcess]) -> None:
        end = monotonic() + self.load.seconds
        while (left := end - monotonic()) > 0:
            await asyncio.sleep(min(self.load.kill_every, left))
            if end - monotonic() > 0:
                chosen = self.random.randrange(len(workers))
                workers[chosen].kill()
                await asyncio.to_thread(workers[chosen].join)
                workers[chosen] = self._start_worker()
                self.result.kills += 1

    async def _stop(self, processes: list[BaseProcess]) -> None:
        # A process that has reported once has also learned how to stop.
        await asyncio.to_thread(self._wait_until_reported, processes)
        for process in processes:
            process.terminate()
        for process in processes:
            await asyncio.to_thread(process.join, STOP_TIMEOUT)
            if process.exitcode != 0:
                self.result.problems.append(f"a process ended with {process.exitcode}")
                process.kill()

    def _wait_until_reported(self, processes: list[BaseProcess]) -> None:
        deadline = monotonic() + STOP_TIMEOUT
        while not all(self._reports[process.name].exists() for process in processes) and monotonic() < deadline:
            sleep(0.1)

    def _count(self) -> None:
        for report in self.folder.glob("report-*.json"):
            self.result.counts.update(json.loads(report.read_text()))
        strange = [name for name in self.result.counts if name.startswith("error") and name not in EXPECTED_ERRORS]
        self.result.problems += [f"{self.result.counts[name]} times {name}" for name in strange]

    # -- what is left --------------------------------------------------------------------------------------

    async def _check(self) -> None:
        engine, backend = self.place.engine(), self.place.backend()
        storages.register_backend(backend)
        try:
            async with AsyncSession(engine) as session:
                await self._compare(session, backend, swept=False)
                await session.execute(update(LEDGER.table).values(due_at=0))
                await session.commit()
                self.result.swept_at_end = len([swept async for swept in sweep(engine, LEDGER) if not swept.error])
                await self._compare(session, backend, swept=True)
        finally:
            storages.unregister_backend(BACKEND)
            await engine.dispose()

    async def _compare(self, session: AsyncSession, backend: ObstoreBackend, *, swept: bool) -> None:
        objects = {info.path: info.size async for info in backend.list()}
        files = await self._files(session)
        holders = Counter(file.path for file in files)
        intents = set(await session.scalars(select(LEDGER.table.c.path)))
        await session.rollback()
        self._note(
            "rows point to missing bytes", [one.path for one in files if objects.get(one.path or "") != one.size]
        )
        self._note("rows share an object", [path for path, count in holders.items() if count > 1])
        self._note("intents cover objects that rows hold", intents & holders.keys())
        self._note("objects that the ledger does not know", objects.keys() - holders.keys() - intents)
        self.result.objects = len(objects)
        if swept:
            self._note("objects after the sweep", objects.keys() - holders.keys())
            self._note("intents after the sweep", intents)
            self._note("bytes that are not what their row says", await _torn(files, objects.keys()))

    async def _files(self, session: AsyncSession) -> list[FileObject]:
        self.result.rows = await session.scalar(select(func.count()).select_from(Document)) or 0
        found = await session.execute(select(Document.file, Document.pages))
        return [file for one, pages in found for file in [*([one] if one else []), *(pages or [])]]

    def _note(self, what: str, found: object) -> None:
        if found:
            self.result.problems.append(f"{what}: {sorted(found)[:5]}")  # type: ignore[call-overload]


async def _torn(files: list[FileObject], present: Collection[str | None]) -> list[str | None]:
    gate, torn = asyncio.Semaphore(READ_AT_ONCE), list[str | None]()

    async def read(file: FileObject) -> None:
        async with gate:
            if file.path in present and sha256(await file.get_content_async()).hexdigest() != file.checksum:
                torn.append(file.path)

    await asyncio.gather(*(read(file) for file in files))
    return torn
