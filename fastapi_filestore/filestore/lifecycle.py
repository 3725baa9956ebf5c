"""Run what an application needs from its start to its end, and keep its rows and stores in step: `Lifecycle`."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, contextmanager
from dataclasses import asdict
from datetime import timedelta
from functools import cached_property
from typing import Any, ClassVar, Self
from weakref import WeakSet

from fastapi import FastAPI
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from fastapi_filestore.concurrency.shielded import let_cancelled_finish
from fastapi_filestore.errors import ConfigurationError, FilestoreError, SettingsError
from fastapi_filestore.events import RELEASE_FAILED
from fastapi_filestore.filestore.opened import Opened
from fastapi_filestore.orm.failures.translate import translate_outages
from fastapi_filestore.orm.ledger.reservations import release_reservations
from fastapi_filestore.orm.unit_of_work.session_loops import serving
from fastapi_filestore.service import FileService
from fastapi_filestore.service.audit.audit import DEFAULT_GRACE, Audit
from fastapi_filestore.service.audit.findings import FindingKind
from fastapi_filestore.service.check.check import LIMIT, Checkable, check
from fastapi_filestore.service.check.checked import Checked
from fastapi_filestore.service.start.databases import Databases
from fastapi_filestore.service.start.start import check_databases, require_backends
from fastapi_filestore.service.sweep.backlog import Backlog, backlog_of
from fastapi_filestore.service.sweep.claims import Swept
from fastapi_filestore.service.sweep.schedule import sweeping
from fastapi_filestore.service.sweep.sweep import BATCH, sweep
from fastapi_filestore.settings import FilestoreSettings
from fastapi_filestore.storage.budget import upload_memory
from fastapi_filestore.storage.from_settings import Wrap, registering_backends
from fastapi_filestore.storage.observed import observing
from fastapi_filestore.storage.registry import StorageRegistry, storages
from fastapi_filestore.telemetry import COLLECTOR
from fastapi_filestore.web.paths import noting_root_path, redacting_access_log, root_path, signed_url_of
from fastapi_filestore.web.problems import Problem
from fastapi_filestore.web.refused_start import failing_in_sentences
from fastapi_filestore.web.routes.dependencies import (
    describe_redirects,
    describe_uploads,
    refuse_bare_services,
    require_distinct_parameters,
    require_one_reader,
)
from fastapi_filestore.web.routes.operations import describe_tags
from fastapi_filestore.web.routes.resource import Resource
from fastapi_filestore.web.routes.signed import SIGNED_URL
from fastapi_filestore.web.wiring import (
    session_dependency,
)


class Lifecycle:
    """The part of a Filestore that runs: backends from the start to the end of the lifespan, sweeps and audits."""

    made: ClassVar["WeakSet[Lifecycle]"] = WeakSet()
    """Those of this process, for its tests."""

    def __init__(
        self,
        get_session: Callable[..., object] | None = None,
        *,
        engine: Engine | AsyncEngine | None = None,
        settings: FilestoreSettings | None = None,
        registry: StorageRegistry = storages,
        hold_session: bool = False,
        telemetry: Mapping[str, Any] | None = None,
        wrap: Wrap | None = None,
    ) -> None:
        """Bind an application's session dependency.

        Args:
            get_session: The dependency that gives a Session or AsyncSession; services and routers need it. A
                sessionmaker will do: each request has a session of it.
            engine: Where the rows are, for sweeps and audits; found through `get_session` if that has no parameters.
            settings: The settings; read from the environment at each start if None.
            registry: Where backends are registered; the process default, which columns use, if none is given.
            hold_session: Keep the session's transaction, and so its connection, while a client sends a body, even if
                it has only read so far. Slow clients can use up a pool so.
            telemetry: Providers for OpenTelemetry other than the process's own, as `FastAPI(telemetry=...)` has them:
                `tracer_provider`, `meter_provider`; `tracing` and `metrics` are False to turn either off.
            wrap: Called with each backend that the settings make, and returns the one to register: a subclass of
                WrappedBackend that counts calls or encrypts, or the backend itself.

        Raises:
            ConfigurationError: `get_session` is no dependency, or none that gives a session.
        """
        self._get_session = session_dependency(get_session)
        self._engine = engine
        self._hold_session = hold_session
        self._telemetry = telemetry or {}
        self.wrap = wrap
        self._models: dict[type, None] = {}
        self._providers: dict[object, Callable[..., Any]] = {}
        self._reserved: dict[Callable[..., object], frozenset[str]] = {}
        self._tags = dict[str, str]()
        self._sortable: dict[Callable[..., object], Sequence[str]] = {}
        self._resources_with_uploads: dict[type, list[tuple[Resource[Any], Callable[..., FileService[Any]]]]] = {}
        if settings is not None and not isinstance(settings, FilestoreSettings):
            raise ConfigurationError(
                f"settings= is a {type(settings).__name__}: give FilestoreSettings(...), or leave it out, and the "
                "environment is read."
            )
        self.given_settings = settings
        self._app: FastAPI | None = None
        self._tells_readiness = False
        self._open_blocks = list[asyncio.AbstractEventLoop]()  # threads may add and take at once
        self.registry = registry
        self.honours_signed_urls = False
        self.made.add(self)

    @cached_property
    def settings(self) -> FilestoreSettings:
        """The settings, read from the environment at each start, or before it; `SettingsError` lists what is wrong."""
        return self.read_settings()

    def read_settings(self) -> FilestoreSettings:
        """Read the settings, as is done at each start."""
        return self.given_settings or FilestoreSettings()

    @asynccontextmanager
    async def lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        """Register the settings' backends while the application runs; a lifespan of your own may call it, too.

        It logs tables that are missing or lack their triggers (with FILESTORE_PROBE it refuses to start, and where a
        ledger can't be written, too) and commits that don't last. With FILESTORE_SWEEP_EVERY it sweeps all the while.
        At the end, requests that the server has cancelled undo what they stored, and reserved paths that are unused are
        given back.

        Raises:
            ConfigurationError: The application can't work as it is put together: a setting is wrong, a column has no
                backend, a route has two readers of one body. uvicorn prints its sentences, and no traceback.
        """
        async with AsyncExitStack() as stack:
            with failing_in_sentences():
                self._app = app
                await stack.enter_async_context(self.opened())
                self.describe(app)
                stack.enter_context(redacting_access_log())
                stack.enter_context(noting_root_path(app))
                probe = self.settings.probe
                await check_databases(self._databases, probe=bool(probe), write=probe is True)
                if self.settings.sweep_every is not None:
                    await self._databases.ledgers()  # what is missing is told at the start
                if self._tells_readiness:
                    await self._databases.engines()  # which are to be known
                require_backends(self._models, self.registry)
                if self.settings.sweep_every is not None:
                    # What the ledgers hold is counted for those who collect metrics, not for each who looks at them.
                    count = None if COLLECTOR.instruments is None else self.backlog
                    sweeps = sweeping(self.sweep, every=self.settings.sweep_every, then=count)
                    await stack.enter_async_context(sweeps)
            yield

    @contextmanager
    def starting(self) -> Iterator[None]:
        """Let what else an application does with its databases at its start fail in sentences, as the lifespan does.

        >>> with files.starting():
        ...     async with engine.begin() as connection:
        ...         await connection.run_sync(Base.metadata.create_all)

        Raises:
            DatabaseUnavailableError, DatabaseFailedError: Whatever a database fails with in the block.
        """
        with failing_in_sentences(), translate_outages():
            yield

    def describe(self, app: FastAPI) -> None:
        """Add to OpenAPI what routes with uploads take, as the lifespan does at its start.

        For a script that never starts the application; before its first `app.openapi()`, which FastAPI remembers.

        Raises:
            ConfigurationError: A route has something else that reads the body of its upload, depends on a service
                that has no session, or is below a prefix whose parameter has the name of its own.
        """
        refuse_bare_services(app.routes)
        require_one_reader(app.routes)
        describe_uploads(app.routes, refusals=Problem in app.exception_handlers)
        describe_tags(app, self._tags.items())
        settings = self.settings
        if "redirect" in {settings.downloads, *(backend.downloads for backend in settings.backends.values())}:
            describe_redirects(app.routes)
        require_distinct_parameters(app.routes)  # last: from now on FastAPI remembers what the routes say

    def opened(self) -> Opened[Self]:
        """Return a context with what a script or a worker needs of the lifespan: `with`, or `async with`.

        >>> with files.opened(), Session() as session:
        ...     content = session.get_one(Document, document_id).file.get_content()

        The settings' backends are registered while the block runs. At its end, what was cancelled undoes what it has
        stored, and reserved paths that are unused are given back, whatever the block ends with. Blocks may lie inside
        each other, in the lifespan, and in several threads.

        Raises:
            ConfigurationError: A setting is wrong, or a backend can't be used as it is set up.
            ForkedProcessError: This process was forked by one that had used a backend.
        """
        return Opened(self, self._opening)

    def backends(self) -> Opened[Self]:
        """Do what `opened` does, which was called so before."""
        return self.opened()

    @asynccontextmanager
    async def _opening(self, *, is_blocking: bool) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()

        async def settle() -> None:
            if self._open_blocks.count(loop) == 1:  # else a request would wait for others that were cancelled
                await let_cancelled_finish()
            if len(self._open_blocks) > 1:
                return
            try:
                await release_reservations(on_own_loop=is_blocking)
            except (FilestoreError, SQLAlchemyError, OSError) as error:
                # What is not given back falls due, and costs a sweeper one look.
                RELEASE_FAILED.tell(error)

        if not self._open_blocks:
            vars(self).pop("settings", None)  # the environment may say something else than at the start before
        self._open_blocks.append(loop)
        try:
            app, settings = self._app, self.settings
            root = "" if app is None else root_path(app)
            url, is_served = settings.public_url + SIGNED_URL, True  # what a token is appended to
            if app is not None and settings.signing_keys and not settings.public_url:
                url, is_served = signed_url_of(app)
            async with (
                registering_backends(
                    settings, self.registry, base_url=url, is_served=is_served, root_path=root, wrap=self.wrap
                ),
                AsyncExitStack() as stack,
            ):
                stack.enter_context(
                    COLLECTOR.telling(
                        self._telemetry,
                        memory=lambda: (upload_memory.held, upload_memory.limit),
                        with_paths=settings.telemetry_paths,
                    )
                )
                stack.enter_context(observing(self.registry))
                if not is_blocking:
                    stack.enter_context(serving())
                stack.push_async_callback(settle)
                yield
        finally:
            self._open_blocks.remove(loop)

    @property
    def _databases(self) -> Databases:
        return Databases(self._models, registry=self.registry, engine=self._engine, get_session=self._get_session)

    async def sweep(self, *, batch: int = BATCH) -> AsyncIterator[Swept]:
        """Settle every intent that is due in the ledgers of the models that services and routers were made for.

        Any number of processes may do so at any time; FILESTORE_SWEEP_EVERY makes the lifespan do it.
        """
        for access in await self._databases.ledgers():
            async for swept in sweep(access.engine, access.ledger, registry=self.registry, batch=batch):
                yield swept

    async def backlog(self) -> Backlog:
        """Count what is in the ledgers that `sweep` settles: what is due, what waits, and what fails again and again.

        Raises:
            DatabaseUnavailableError: A database can't be used.
        """
        backlog = await backlog_of(await self._databases.ledgers())
        if COLLECTOR.instruments is not None:
            COLLECTOR.instruments.counted(**asdict(backlog))
        return backlog

    async def check(self, *, limit: float = LIMIT) -> AsyncGenerator[Checked, None]:
        """Try out the settings, every backend, the databases and the columns, as `filestore check` does.

        A few objects are stored in each backend, below `.filestore-uploads/`, and deleted again.

        Args:
            limit: Seconds that each question may take.
        """
        if not self._open_blocks:
            vars(self).pop("settings", None)
        settings: FilestoreSettings | SettingsError
        try:
            settings = self.settings
        except SettingsError as error:
            settings = error
        url = SIGNED_URL if isinstance(settings, SettingsError) else settings.public_url + SIGNED_URL
        application = Checkable(self._databases, self._models, self.registry, url, self.wrap)
        async with aclosing(check(application, settings, limit=limit)) as answers:
            async for checked in answers:
                yield checked

    def audit(
        self,
        *,
        grace: float | timedelta = DEFAULT_GRACE,
        verify: bool = False,
        fix: Collection[FindingKind | str] = (),
        backends: Collection[str] | None = None,
        after: str | None = None,
        at_most: int | None = None,
    ) -> Audit:
        """Compare rows and objects both ways; iterate the answer with `async for` for its findings.

        It reads all tables of the metadata of the models that services and routers were made for, and looks at those of
        all other mapped classes for who holds files. The arguments are those of `fastapi_filestore.audit`.
        """
        return Audit(self._databases.find, self.registry, grace, verify, fix, backends, after, at_most)
