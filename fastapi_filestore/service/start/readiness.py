"""Know whether an application can serve: its databases and the backends of its columns are asked now and then."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextvars import Context
from dataclasses import dataclass
from functools import partial
from typing import Final

from sqlalchemy import URL, Connection, Engine, text

from fastapi_filestore.errors import ConfigurationError, DatabaseUnavailableError
from fastapi_filestore.events import NOT_READY, READY_AGAIN
from fastapi_filestore.orm.sessions import has_room, run_on_engine
from fastapi_filestore.service.start.databases import Databases
from fastapi_filestore.service.start.start import backends_of
from fastapi_filestore.storage.fallbacks import probe_store
from fastapi_filestore.storage.registry import StorageRegistry

LONGEST_CALL: Final = 30.0
"""Seconds after which a call that has no answer is given up: a network that swallows packets answers it never."""

Ask = Callable[[], Awaitable[object]]
"""Ask a part of an application whether it is there; it is not if that fails."""
Parts = Callable[[], Awaitable[Mapping[str, Ask]]]
"""Return what an application needs, by names for its operators."""


async def parts_of(databases: Databases, models: Collection[type], registry: StorageRegistry) -> Mapping[str, Ask]:
    """Return what an application needs: the databases of its models, and the backends of their file columns.

    Raises:
        ConfigurationError: No engine is known for the models.
    """
    engines = [engine for engine in await databases.engines() if has_room(engine)]  # else it is in memory
    asked: dict[str, Ask] = {f"database {_name(engine)}": partial(_ask_database, engine) for engine in engines}
    for key, known in backends_of(models, registry):
        asked[f"backend {key}"] = partial(_ask_backend, known, key)
    return asked


def _name(engine: Engine) -> str:
    url = engine.url
    return URL.create(url.drivername, host=url.host, port=url.port, database=url.database).render_as_string()


async def _ask_database(engine: Engine) -> None:
    def ask(connection: Connection) -> None:
        # SQLite opens its file for this one.
        is_sqlite = connection.dialect.name == "sqlite"
        connection.execute(text("PRAGMA schema_version" if is_sqlite else "SELECT 1"))

    try:
        await run_on_engine(engine, ask)
    except DatabaseUnavailableError:
        # Connections of the pool may have been cut while nobody used them: it has dropped them now, and opens new ones.
        await run_on_engine(engine, ask)


async def _ask_backend(registry: StorageRegistry, key: str) -> None:
    await probe_store(registry.get_backend(key), write=False)


@dataclass(slots=True)
class _Call:
    """A question to a part of an application, on its way."""

    answer: asyncio.Task[object]
    began: float

    @property
    def is_under_way(self) -> bool:
        """Tell whether an answer may still come, in this event loop."""
        is_late = time.monotonic() - self.began > LONGEST_CALL
        return self.answer.get_loop() is asyncio.get_running_loop() and not self.answer.done() and not is_late


class Readiness:
    """Tell whether every part of an application answers: one check at a time, whose result is kept for a while."""

    def __init__(self, parts: Parts, *, timeout: float, max_age: float) -> None:
        """Check `parts`, all at once and within `timeout` seconds, and keep the result for `max_age` seconds.

        Raises:
            ConfigurationError: One of them is no number above zero.
        """
        given: dict[str, object] = {"timeout": timeout, "max_age": max_age}
        for name, seconds in given.items():
            if not isinstance(seconds, int | float) or not 0 < seconds < float("inf"):
                raise ConfigurationError(f"files.readiness({name}={seconds!r}): give a number of seconds above zero.")
        self._parts, self._timeout, self.max_age = parts, timeout, max_age
        self._is_ready, self._until = False, 0.0
        self._check: asyncio.Task[None] | None = None
        self._calls = dict[str, _Call]()
        self._failing = dict[str, type[BaseException]]()

    async def is_ready(self) -> bool:
        """Tell whether all parts have answered in the last check, which may be this one."""
        if time.monotonic() >= self._until:
            check = self._check
            if check is None or check.done() or check.get_loop() is not asyncio.get_running_loop():
                # In a context of its own: it is not the business of the request that comes first.
                check = self._check = asyncio.create_task(self._ask_all(), context=Context())
            await asyncio.shield(check)  # others wait for it, too
        return self._is_ready

    async def _ask_all(self) -> None:
        """Ask all parts, and log which have ceased to answer, or do so again."""
        failures = dict[str, BaseException]()
        try:
            async with asyncio.timeout(self._timeout):
                parts = await self._parts()
        except Exception as error:  # noqa: BLE001 - whatever it is, operators are told
            parts, failures["application"] = {}, error
        if not parts:
            failures.setdefault(
                "application", ConfigurationError("No backend is registered: files.lifespan does not run.")
            )
        calls = {name: self._call(name, ask) for name, ask in parts.items()}
        if calls:
            await asyncio.wait([call.answer for call in calls.values()], timeout=self._timeout)
        for name, call in calls.items():
            if not call.answer.done() or call.answer.cancelled():
                failures[name] = TimeoutError(f"It has not answered within {self._timeout:g} seconds.")
            elif (failure := call.answer.exception()) is not None:
                failures[name] = failure
        for name, failure in failures.items():
            if self._failing.get(name) is not type(failure):
                NOT_READY.tell(failure, part=name)
        for name in self._failing.keys() - failures.keys():
            READY_AGAIN.tell(part=name)
        self._failing = {name: type(failure) for name, failure in failures.items()}
        self._is_ready, self._until = not failures, time.monotonic() + self.max_age

    def _call(self, name: str, ask: Ask) -> _Call:
        """Return the question to a part: the one that is still on its way, else a new one.

        A part that hangs is asked once, and not once for each check: each would hold a connection, or a thread.
        """
        call = self._calls.get(name)
        if call is None or not call.is_under_way:
            if call is not None and call.answer.get_loop() is asyncio.get_running_loop():
                call.answer.cancel()

            async def asking() -> object:
                return await ask()

            answer = asyncio.create_task(asking())
            answer.add_done_callback(lambda task: task.cancelled() or task.exception())  # nobody may wait for it
            call = self._calls[name] = _Call(answer, time.monotonic())
        return call
