"""The processes of a soak: workers that write documents, and sweepers beside them."""

import asyncio
import json
import logging
import signal
import warnings
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from time import monotonic

from sqlalchemy import Engine
from sqlalchemy.exc import SAWarning
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine

from fastapi_filestore import IntentLostError, storages
from fastapi_filestore.orm.ledger.reservations import release_reservations
from fastapi_filestore.service.sweep.sweep import sweep
from tests.soak.models import LEDGER, MIN_AGE
from tests.soak.operations import OPERATIONS, Operation
from tests.soak.place import Place
from tests.soak.sessions import session_on

REPORT_EVERY = 0.3
"""Seconds between reports: what a killed worker did after its last one is not counted."""
CANCELLED_PART = 0.05
LONGEST_WAIT = 0.2
"""Seconds until a unit of work that is cancelled is so, at the most."""
SLOW = 0.75 * MIN_AGE
"""Seconds after which a reserved key may be lost: it is taken in the first quarter of its intent's age."""
SWEEP_EVERY = 0.5


class Stop:
    """Set when the process is asked to end."""

    def __init__(self) -> None:
        self.asked = False
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._ask)

    def _ask(self) -> None:
        self.asked = True


class CountingHandler(logging.Handler):
    """Counts the library's warnings instead of printing them."""

    def __init__(self, counts: Counter[str]) -> None:
        super().__init__()
        self.counts = counts

    def emit(self, record: logging.LogRecord) -> None:
        """Count one."""
        self.counts[f"logged {record.getMessage().partition(' ')[0].removeprefix('fastapi_filestore.')}"] += 1


def work(place: Place, report_to: Path, *, tasks: int, seed: str) -> None:
    """Write documents in several tasks until SIGTERM, and report what was done."""
    asyncio.run(_reported(report_to, lambda counts, stop: _work(place, counts, stop, tasks, seed)))


def keep_sweeping(place: Place, report_to: Path) -> None:
    """Sweep again and again until SIGTERM, and report what was swept."""
    asyncio.run(_reported(report_to, lambda counts, stop: _keep_sweeping(place, counts, stop)))


async def _reported(report_to: Path, run: Callable[[Counter[str], Stop], Awaitable[None]]) -> None:
    counts = Counter[str]()
    logging.getLogger("fastapi_filestore").addHandler(CountingHandler(counts))
    # Of rows that two tasks delete at the same time.
    warnings.simplefilter("ignore", SAWarning)
    reporting = asyncio.create_task(_report(report_to, counts))
    await run(counts, Stop())
    reporting.cancel()
    _write(report_to, counts)


async def _report(report_to: Path, counts: Counter[str]) -> None:
    while True:
        await asyncio.sleep(REPORT_EVERY)
        _write(report_to, counts)


def _write(report_to: Path, counts: Counter[str]) -> None:
    draft = report_to.with_suffix(".draft")
    draft.write_text(json.dumps(counts))
    draft.replace(report_to)


# -- workers ---------------------------------------------------------------------------------------------


async def _work(place: Place, counts: Counter[str], stop: Stop, tasks: int, seed: str) -> None:
    engine = place.working_engine()
    storages.register_backend(place.backend())
    randoms = [Random(f"{seed} {number}") for number in range(tasks)]  # noqa: S311 - to choose what to do
    await asyncio.gather(*(_operate(engine, counts, stop, random) for random in randoms))
    await release_reservations()
    await (engine.dispose() if isinstance(engine, AsyncEngine) else asyncio.to_thread(engine.dispose))


async def _operate(engine: Engine | AsyncEngine, counts: Counter[str], stop: Stop, random: Random) -> None:
    while not stop.asked:
        operation = random.choices(list(OPERATIONS), list(OPERATIONS.values()))[0]
        begun = monotonic()
        try:
            await _once(engine, operation, random)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - counted by kind
            counts[f"error {_kind(error, monotonic() - begun)}"] += 1
        else:
            counts[operation.__name__] += 1


async def _once(engine: Engine | AsyncEngine, operation: Operation, random: Random) -> None:
    async with session_on(engine) as session:
        if random.random() >= CANCELLED_PART:
            await operation(session, random)
            return
        async with asyncio.timeout(random.random() * LONGEST_WAIT):
            await operation(session, random)


def _kind(error: BaseException, seconds: float) -> str:
    if isinstance(error, IntentLostError):
        return f"IntentLostError {'after' if seconds > SLOW else 'before'} its time"
    if isinstance(error, PoolTimeoutError):
        return "PoolTimeoutError"
    return f"{type(error).__name__}{': deadlock' if 'deadlock' in str(error).lower() else ''}"


# -- sweepers --------------------------------------------------------------------------------------------


async def _keep_sweeping(place: Place, counts: Counter[str], stop: Stop) -> None:
    engine = place.engine()
    storages.register_backend(place.backend())
    while not stop.asked:
        async for swept in sweep(engine, LEDGER):
            counts["swept" if swept.error is None else "failed to sweep"] += 1
        await asyncio.sleep(SWEEP_EVERY)
    await engine.dispose()
