"""No test sees what another one left: after each, what the process shares is as it was, or the test fails by name.

After a test that has failed already all is only put right: its own error is the one to read.
"""

import asyncio
import inspect
import logging
import os
import sys
from collections.abc import AsyncIterator, Callable, Collection, Generator, Iterator
from pathlib import Path
from typing import Any, TypeAlias
from weakref import WeakSet

import psycopg
import pytest
from fastapi.dependencies import models
from sqlalchemy import MetaData, Pool, event
from sqlalchemy.orm import DeclarativeBase

from fastapi_filestore import storages
from fastapi_filestore.concurrency import blocking
from fastapi_filestore.orm.ledger import reservations
from fastapi_filestore.storage.budget import upload_memory

State: TypeAlias = dict[str, Any]
"""Something that the process shares, by the words that a leak is told in."""
Watched: TypeAlias = tuple[Callable[[], State], Callable[[], object]]
"""What tells the state of something, and what restores the state it was in when that was made."""
OfLogger: TypeAlias = tuple[int, bool, bool, list[logging.Handler]]
"""Level, disabled, propagate, and the handlers that are not pytest's."""

_opened: WeakSet["psycopg.Connection[Any]"] = WeakSet()
FAILED = pytest.StashKey[bool]()
OTHERS = {"PYTEST_CURRENT_TEST"}
"""Variables of the environment that are not a test's."""
FRESH: OfLogger = (logging.NOTSET, False, True, [])
"""A logger that nobody has touched."""
PATIENCE = 5.0
"""Seconds in which a task may end by itself, and again after it was cancelled."""


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: pytest.Collector, name: str, obj: object) -> None:
    """Look after the tasks of each asynchronous test."""
    if inspect.iscoroutinefunction(obj) and isinstance(collector, pytest.Module) and name.startswith("test"):
        pytest.mark.usefixtures("ended_tasks")(obj)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember that a test has failed."""
    report = yield
    if report.failed:
        item.stash[FAILED] = True
    return report


@pytest.fixture(autouse=True)
def isolated(request: pytest.FixtureRequest) -> Iterator[None]:
    """Take back what a test did to the process; it is the first fixture of each, so the last to end."""
    kinds = [_registry, _reservations, _memory, _logs, _metadata, _process]
    # Places of the crash tests live as long as their module, and so do the connections in their pools.
    kinds += [] if "places" in request.fixturenames else [_connections]
    watched = [watch() for watch in kinds]
    before = [state() for state, _ in watched]
    yield
    leaks = [] if blocking._background._loop is None else blocking.run_blocking(_end(set()))
    for (state, restore), past in zip(watched, before, strict=True):
        if (now := state()) != past:
            leaks += [f"{name}: {now.get(name)!r}" for name in past | now if now.get(name) != past.get(name)]
            restore()
    _tell(request, leaks)


@pytest.fixture(scope="module", autouse=True)
def freed_applications() -> Iterator[None]:
    """Free the applications of a file's tests: FastAPI's caches of functions keep thousands of them alive."""
    yield
    for cached in vars(models).values():
        if hasattr(cached, "cache_clear"):
            cached.cache_clear()


@pytest.fixture
async def ended_tasks(request: pytest.FixtureRequest) -> AsyncIterator[None]:
    """End the tasks that a test began, before the loop goes on to the next one."""
    before = asyncio.all_tasks()
    yield
    _tell(request, await _end(before))


def _tell(request: pytest.FixtureRequest, leaks: Collection[str]) -> None:
    if leaks and not request.node.stash.get(FAILED, default=False):
        pytest.fail("The test leaves to those after it:\n- " + "\n- ".join(leaks), pytrace=False)


async def _end(before: Collection["asyncio.Task[Any]"]) -> list[str]:
    """End the tasks of the running loop that are not of before; return those that did not by themselves."""
    left = {task for task in asyncio.all_tasks() - {*before, asyncio.current_task()} if not _is_of_runner(task)}
    if not left:
        return []
    _, hanging = await asyncio.wait(left, timeout=PATIENCE)
    for task in hanging:
        task.cancel()
    if hanging:
        await asyncio.wait(hanging, timeout=PATIENCE)
    return [f"task: {task!r}" for task in hanging]


def _is_of_runner(task: "asyncio.Task[Any]") -> bool:
    return getattr(task.get_coro(), "__qualname__", "").startswith("TestRunner.")  # anyio's, which runs this


def _registry() -> Watched:
    past = dict(storages._backends), storages._default, storages.signer

    def restore() -> None:
        storages._backends, storages._default, storages.signer = past

    def state() -> State:
        backends: State = {f"backend {key!r}": backend for key, backend in storages._backends.items()}
        return {**backends, "default backend": storages._default, "signer": storages.signer}

    return state, restore


def _reservations() -> Watched:
    def state() -> State:
        return {
            f"reserved paths in backend {backend!r} by the ledger of {access.engine.url}": len(reserved.paths)
            for (_, access, backend, _), reserved in reservations._reservations.items()
            if reserved.paths
        }

    return state, reservations._reservations.clear


def _memory() -> Watched:
    past = upload_memory.limit, upload_memory._held

    def restore() -> None:
        upload_memory.limit, upload_memory._held = past
        upload_memory._waiting.clear()
        upload_memory._shares.clear()

    return lambda: {"limit of upload_memory": upload_memory.limit, "held of upload_memory": upload_memory.held}, restore


def _logs() -> Watched:
    past = {logger: _of_logger(logger) for logger in _loggers()}

    def restore() -> None:
        for logger in filter(lambda logger: logger in past or _is_ours(logger), _loggers()):
            level, logger.disabled, logger.propagate, handlers = past.get(logger, FRESH)
            logger.setLevel(level)
            logger.handlers[:] = [*handlers, *(one for one in logger.handlers if _is_of_pytest(one))]

    def state() -> State:
        # A library that is imported meanwhile may make loggers of its own.
        return {f"logger {one.name!r}": _of_logger(one) for one in _loggers() if one in past or _is_ours(one)}

    return state, restore


def _loggers() -> list[logging.Logger]:
    known = list(logging.Logger.manager.loggerDict.values())
    return [logging.getLogger(), *(one for one in known if isinstance(one, logging.Logger))]


def _of_logger(logger: logging.Logger) -> OfLogger:
    handlers = [one for one in logger.handlers if not _is_of_pytest(one)]
    return logger.level, logger.disabled, logger.propagate, handlers


def _is_ours(logger: logging.Logger) -> bool:
    return logger.name.partition(".")[0] == "fastapi_filestore" and _of_logger(logger) != FRESH


def _is_of_pytest(handler: logging.Handler) -> bool:
    return type(handler).__module__.startswith("_pytest")


def _metadata() -> Watched:
    known = {base.metadata for base in DeclarativeBase.__subclasses__()}
    past: dict[MetaData, tuple[Any, set[str]]] = {one: (one.info, set(one.tables)) for one in known}
    infos = {one: dict(one.info) for one in past}

    def restore() -> None:
        for metadata, (info, tables) in past.items():
            metadata.info = info
            info.clear()
            info.update(infos[metadata])
            for name in set(metadata.tables) - tables:
                metadata.remove(metadata.tables[name])

    def state() -> State:
        names = {one: ", ".join(sorted(tables)[:3]) for one, (_, tables) in past.items()}
        infos_now = {f"info of the metadata of {names[one]}...": dict(one.info) for one in past}
        return {**infos_now, **{f"tables beside {names[one]}...": set(one.tables) for one in past}}

    return state, restore


@event.listens_for(Pool, "connect")
def _note(connection: Any, record: Any) -> None:
    if isinstance(connection, psycopg.Connection):
        _opened.add(connection)


def _connections() -> Watched:
    past = set(_opened)

    def restore() -> None:
        for connection in set(_opened) - past:
            connection.close()

    def state() -> State:
        # psycopg warns of each when it is collected, in whichever test that comes to pass.
        return {f"open connection of an engine that was not disposed of: {one}": 1 for one in _opened if not one.closed}

    return state, restore


def _process() -> Watched:
    folder, path, environment = Path.cwd(), list(sys.path), dict(os.environ)

    def restore() -> None:
        os.chdir(folder)
        sys.path[:] = path
        for name in os.environ.keys() - environment.keys() - OTHERS:
            del os.environ[name]
        os.environ.update(environment)

    def state() -> State:
        variables = {f"${name}": value for name, value in os.environ.items() if name not in OTHERS}
        return {"working directory": Path.cwd(), "sys.path": list(sys.path), **variables}

    return state, restore
