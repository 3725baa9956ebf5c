"""One schedule: a script in a process of its own, with one fault at one point."""

import asyncio
import gc
import os
import pickle
import threading
import traceback
import types
from collections.abc import Callable, Coroutine, Generator
from contextlib import suppress
from dataclasses import dataclass, field
from errno import EIO
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias

import anyio
from sqlalchemy import NullPool, create_engine, select, update
from sqlalchemy.exc import OperationalError

from fastapi_filestore import (
    DatabaseFailedError,
    DatabaseUnavailableError,
    IntentLostError,
    ObstoreBackend,
    StorageRegistry,
    StorageUnavailableError,
    storages,
)
from fastapi_filestore.orm.ledger.reservations import release_reservations
from fastapi_filestore.orm.unit_of_work import end as ending
from fastapi_filestore.orm.uploads import leases
from fastapi_filestore.service.sweep.sweep import sweep
from tests.crash.application import DRIVERS, Application, Work
from tests.crash.broken import VARIANTS
from tests.crash.models import BACKEND, LEDGER, UPLOADS, Document, add_first_rows, pending
from tests.crash.points import (
    PointedBackend,
    Points,
    Strike,
    Transactions,
    kill_this_process,
    watch_disk,
    watch_statements,
)
from tests.crash.scripts import FIRST_OBJECTS, SCRIPTS, Script, unit

Fault: TypeAlias = Literal["none", "kill", "error", "hang", "sweep", "cancel", "scope"]

STORE_CALLS = ("put", "head", "copy", "delete", "drop")
SWEEPER_PATIENCE = 0.05
"""Seconds that a sweeper which strikes waits for a lock that its victim may hold."""
HANG_PATIENCE = 10.0
"""Seconds in which a unit of work whose store hangs must end when it is cancelled."""

FIRST_ROWS = "first rows"


@dataclass(frozen=True)
class Schedule:
    """What a process is to do, and where it is to be struck.

    Attributes:
        script: Name of the script.
        url: The database, without a driver.
        is_async: With which kind of session.
        legacy: Leave SQLite's transactions to its driver's legacy habits.
        fs: The store's URL.
        options: The store's options.
        fault: What happens.
        at: At which point, counted from 1; for a cancelled task, at which of its awaits.
        variant: The deliberately broken variant of the library that is run.
        journal: File that gets the keys of uploads which began inside a transaction.
    """

    script: str
    url: str
    is_async: bool
    fs: str
    journal: Path
    legacy: bool = False
    options: dict[str, object] = field(default_factory=dict)
    fault: Fault = "none"
    at: int | None = None
    variant: str | None = None

    @property
    def folder(self) -> Path | None:
        """Where the objects are, if they are files."""
        return None if "://" in self.fs else Path(self.fs)


@dataclass
class Report:
    """What a process that lived on has to say.

    Attributes:
        labels: The points that it reached.
        label: What was happening when it was struck.
        awaits: How many awaits suspended it, when it was to be cancelled at one.
        struck: Whether it got to the chosen point.
        error: The name of what the unit of work raised.
        traceback: Where it came from.
        afterwards: What went wrong when its sessions were used again.
        hung: Whether it did not end when it was cancelled.
    """

    labels: list[str] = field(default_factory=list)
    label: str = ""
    awaits: int = 0
    struck: bool = False
    error: str | None = None
    traceback: str = ""
    afterwards: str | None = None
    hung: bool = False


class ChildProcess:
    """The process of one schedule."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.script = first_rows() if schedule.script == FIRST_ROWS else SCRIPTS[schedule.script]
        self.points = Points(schedule.at if schedule.fault not in {"cancel", "scope"} else None, self._strike())
        self.application = Application(schedule.url, is_async=schedule.is_async, legacy=schedule.legacy)
        self.transactions = Transactions()
        self.transactions.watch(self.application.plain_engine)
        watch_statements(self.application.plain_engine, self.points)
        self.backend = PointedBackend(
            make_backend(schedule),
            self.points,
            uploading=self._note_upload,
            in_parts=self.script.in_parts,
            folder=schedule.folder,
        )
        if self.script.on_disk:
            watch_disk(self.points)
        self.report = Report()
        self._journal = os.open(schedule.journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    async def run(self) -> Report:
        """Run the script with its fault."""
        storages.register_backend(self.backend)
        if self.schedule.variant is not None:
            VARIANTS[self.schedule.variant]()
        # Nobody wants what it holds, and each look for that would be a point more.
        setattr(leases.Keeper, "add", lambda keeper, lease: None)  # noqa: B010 - a method
        if self.script.arrange is not None:
            await self.script.arrange(self.application)
        self.points.armed = True
        try:
            await self._run_with_fault()
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - whatever it is, it is judged later
            self.report.error, self.report.traceback = type(error).__name__, traceback.format_exc()
        # A cancelled SELECT keeps SQLite locked as long as anything refers to its cursor, as a traceback does.
        gc.collect()
        self.points.armed = False
        self.report.labels = self.points.labels
        if self.points.struck_at is not None:
            self.report.struck, self.report.label = True, self.points.struck_at
        if self.schedule.fault != "none":
            await self._live_on()
        return self.report

    async def _run_with_fault(self) -> None:
        match self.schedule.fault:
            case "hang":
                await self._run_hanging()
            case "cancel":
                await self._run_cancelled(lambda task, scope: task.cancel())
            case "scope":
                await self._run_cancelled(lambda task, scope: scope.cancel())
            case _:
                await self.script.act(self.application)

    # -- faults ------------------------------------------------------------------------------------------

    def _strike(self) -> Strike:
        return {"error": self._fail, "sweep": self._sweep, "hang": self._hang}.get(
            self.schedule.fault, kill_this_process
        )

    def _hang(self, label: str) -> None:
        # A script that does several things at once may be somewhere else this time.
        if label.rsplit(maxsplit=1)[-1] in STORE_CALLS:
            self.backend.hang(label)

    def _fail(self, label: str) -> None:
        if label.endswith("on the disk"):
            raise OSError(EIO, "The disk is broken, as the schedule wants it.")
        if label == "a piece put":
            raise ConnectionResetError("The client is gone, as the schedule wants it.")
        if label.rsplit(maxsplit=1)[-1] in STORE_CALLS:
            raise StorageUnavailableError("The store is down, as the schedule wants it.")
        dialect = self.application.plain_engine.dialect
        lost = label in {"after COMMIT", "after ROLLBACK"}
        if lost and dialect.driver == "pysqlite":
            raise dialect.loaded_dbapi.ProgrammingError("Cannot operate on a closed database.")
        raise dialect.loaded_dbapi.OperationalError("no active connection" if lost else "no")

    def _sweep(self, label: str) -> None:
        # As another process would: with an engine, a client of the store and an event loop of its own.
        sweeper = threading.Thread(target=lambda: asyncio.run(sweep_everything(self.schedule)))
        sweeper.start()
        sweeper.join()

    async def _run_hanging(self) -> None:
        ending.PATIENCE = HANG_PATIENCE / 20
        task = asyncio.create_task(self.script.act(self.application))
        hanging = asyncio.create_task(self.backend.hanging.wait())
        await asyncio.wait({task, hanging}, return_when=asyncio.FIRST_COMPLETED)
        if hanging.done():
            task.cancel()
            _, unfinished = await asyncio.wait({task}, timeout=HANG_PATIENCE)
            self.report.hung = bool(unfinished)
        hanging.cancel()
        if not self.report.hung:
            await task

    async def _run_cancelled(self, cancel: Callable[[asyncio.Task[None], anyio.CancelScope], object]) -> None:
        loop, scope = asyncio.get_running_loop(), anyio.CancelScope()

        def at_await(number: int) -> None:
            self.report.awaits = number
            if number == self.schedule.at:
                self.report.struck, self.report.label = True, next(reversed(self.points.labels), "")
                loop.call_soon(cancel, task, scope)

        async def act() -> None:
            with scope:
                await stepped(self.script.act(self.application), at_await)

        task = asyncio.create_task(act())
        await task

    # -- afterwards --------------------------------------------------------------------------------------

    async def _live_on(self) -> None:
        if self.report.hung:
            return
        try:
            for number, work in enumerate(self.application.opened):
                await self._use_again(work, f"afterwards {number}")
            await release_reservations()
        except Exception as error:  # noqa: BLE001 - the report says it
            self.report.afterwards = repr(error)
        for work in self.application.opened:
            await work.close()

    async def _use_again(self, work: Work, title: str) -> None:
        document = Document(title=title, file=pending("afterwards"))
        # A sweeper that struck long before its time may have taken reserved keys, too: one unit of work finds out.
        for attempts_left in (1, 0) if self.schedule.fault == "sweep" else (0,):
            await work.rollback()
            await work.do(lambda session: session.add(document))
            try:
                await work.commit()
            except IntentLostError:
                if not attempts_left:
                    raise
            else:
                return

    def _note_upload(self, path: str) -> None:
        if self.points.armed and self.transactions.open:
            os.write(self._journal, f"{path}\n".encode())


def first_rows() -> Script:
    """Return the script that writes the rows which all others find."""
    return Script(FIRST_ROWS, unit(add_first_rows), FIRST_OBJECTS)


def make_backend(schedule: Schedule) -> ObstoreBackend:
    """Return the store of a schedule, without points."""
    return ObstoreBackend(BACKEND, schedule.fs, **schedule.options)


async def sweep_everything(schedule: Schedule) -> None:
    """Let every upload and intent that nobody locks fall due, and settle it, from outside of whatever is under way."""
    kind, rest = schedule.url.split("://", 1)
    patience: dict[str, Any] = {"timeout": SWEEPER_PATIENCE}
    if kind == "postgresql":
        patience = {"options": f"-c lock_timeout={1000 * SWEEPER_PATIENCE:.0f}"}
    engine = create_engine(f"{DRIVERS[kind][0]}://{rest}", poolclass=NullPool, connect_args=patience)
    registry = StorageRegistry()
    registry.register_backend(make_backend(schedule))
    path = LEDGER.table.c.path
    unlocked = select(path).with_for_update(skip_locked=True)
    identity = UPLOADS.uploads.c.id
    untouched = select(identity).with_for_update(skip_locked=True)
    # The victim may hold what it waits for.
    with suppress(OperationalError, DatabaseFailedError, DatabaseUnavailableError):
        with engine.begin() as connection:
            connection.execute(update(UPLOADS.uploads).where(identity.in_(untouched)).values(expires=0))
            connection.execute(update(LEDGER.table).where(path.in_(unlocked)).values(due_at=0))
        async for _ in sweep(engine, LEDGER, registry=registry):
            pass


@types.coroutine
def stepped(work: Coroutine[Any, Any, None], at_await: Callable[[int], None]) -> Generator[Any, Any, None]:
    """Run a coroutine and call a function with the number of each of its awaits that suspends it."""
    resume: Callable[[], Any] = partial(work.send, None)
    number = 0
    while True:
        try:
            awaited = resume()
        except StopIteration:
            return
        number += 1
        at_await(number)
        try:
            resume = partial(work.send, (yield awaited))
        except BaseException as error:  # noqa: BLE001 - a cancellation is for the coroutine to see
            resume = partial(work.throw, error)


def run(schedule: Schedule, report_to: Path) -> None:
    """Run a schedule; the report is written if the process lives."""
    report = asyncio.run(_run(schedule))
    report_to.write_bytes(pickle.dumps(report))


def load_report(path: Path) -> Report:
    """Read what a process wrote before it ended."""
    report: Report = pickle.loads(path.read_bytes())
    return report


async def _run(schedule: Schedule) -> Report:
    return await ChildProcess(schedule).run()
