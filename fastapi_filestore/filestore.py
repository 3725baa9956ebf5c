"""Bind settings, session and routers once for an application: `Filestore`."""

from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import timedelta
from functools import cached_property, partial
from types import MappingProxyType
from typing import Annotated, Any, TypeVar, overload

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.params import Depends
from pydantic import BaseModel
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from fastapi_filestore.concurrency.shielded import let_cancelled_finish
from fastapi_filestore.errors import ConfigurationError, FilestoreError
from fastapi_filestore.events import RELEASE_FAILED
from fastapi_filestore.file_object import FileObject
from fastapi_filestore.file_object.validators import AnyValidator, file_rules
from fastapi_filestore.intake.forms.limits import FormLimits, Pace
from fastapi_filestore.intake.upload import Upload, Uploads
from fastapi_filestore.orm.failures.outages import translate_outages
from fastapi_filestore.orm.ledger.reservations import release_reservations
from fastapi_filestore.orm.unit_of_work.session_loops import serving
from fastapi_filestore.service import FileService
from fastapi_filestore.service.audit.audit import DEFAULT_GRACE, Audit
from fastapi_filestore.service.audit.findings import FindingKind
from fastapi_filestore.service.new_rows import refuse_rowless
from fastapi_filestore.service.start.databases import Databases
from fastapi_filestore.service.start.start import check_databases, require_backends
from fastapi_filestore.service.sweep.backlog import Backlog, backlog_of
from fastapi_filestore.service.sweep.schedule import sweeping
from fastapi_filestore.service.sweep.sweep import BATCH, Swept, sweep
from fastapi_filestore.settings import FilestoreSettings
from fastapi_filestore.settings.values import DownloadWay
from fastapi_filestore.storage.from_settings import registering_backends
from fastapi_filestore.storage.registry import StorageRegistry, storages
from fastapi_filestore.web.paths import noting_root_path, root_path, signed_url_of
from fastapi_filestore.web.problems import Problem, answer_error, answer_problem
from fastapi_filestore.web.provider import bounds_of, service_provider
from fastapi_filestore.web.receiving.form_fields import UnknownFields
from fastapi_filestore.web.receiving.uploads import receive_upload, receive_uploads
from fastapi_filestore.web.refused_start import failing_in_sentences
from fastapi_filestore.web.request_names import redacting_access_log
from fastapi_filestore.web.routes.dependencies import (
    UploadDependency,
    describe_redirects,
    describe_uploads,
    refuse_bare_services,
    require_distinct_parameters,
    require_one_reader,
)
from fastapi_filestore.web.routes.resource import resource_of
from fastapi_filestore.web.routes.router import file_router
from fastapi_filestore.web.routes.schemas import derive_schemas
from fastapi_filestore.web.routes.signed import SIGNED_URL, signed_router
from fastapi_filestore.web.serving.downloads import download
from fastapi_filestore.web.serving.options import CrossOrigin, DownloadOptions, Visibility
from fastapi_filestore.web.wiring import (
    CalledFirst,
    Dependency,
    NoRouter,
    mapped_class,
    require_depends,
    require_schema,
    require_service_provider,
    service_of,
    session_dependency,
)

ModelT = TypeVar("ModelT")
ServiceT = TypeVar("ServiceT", bound=FileService[Any])

NO_DEFAULTS: Mapping[str, Dependency] = MappingProxyType({})

_SERVICE = CalledFirst("files.service", "Depends(files.service(Document))")
_ROUTER = CalledFirst("files.router", 'app.include_router(files.router(Document), prefix="/documents")')
_UPLOAD = CalledFirst("files.upload", "Depends(files.upload())")
_UPLOADS = CalledFirst("files.uploads", "Depends(files.uploads(max_files=10))")
_DOWNLOAD = CalledFirst("files.download", "return await files.download(request, file)")


class Filestore:
    """File storage for one application: its backends live from the start to the end of the lifespan.

    >>> files = Filestore(get_session)
    >>> app = FastAPI(lifespan=files.lifespan)
    >>> get_document_service = files.service(Document)
    >>> app.include_router(files.router(Document), prefix="/documents")
    """

    def __init__(
        self,
        get_session: Callable[..., Any] | None = None,
        *,
        engine: Engine | AsyncEngine | None = None,
        settings: FilestoreSettings | None = None,
        registry: StorageRegistry = storages,
        hold_session: bool = False,
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

        Raises:
            ConfigurationError: `get_session` is no dependency, or none that gives a session.
        """
        self._get_session = session_dependency(get_session)
        self._engine = engine
        self._hold_session = hold_session
        self._models: dict[type, None] = {}
        self._reserved: dict[Callable[..., Any], frozenset[str]] = {}
        if settings is not None and not isinstance(settings, FilestoreSettings):
            raise ConfigurationError(
                f"settings= is a {type(settings).__name__}: give FilestoreSettings(...), or leave it out, and the "
                "environment is read."
            )
        self._given_settings = settings
        self._app: FastAPI | None = None
        self.registry = registry

    @cached_property
    def settings(self) -> FilestoreSettings:
        """The settings, read from the environment at each start, or before it; `SettingsError` lists what is wrong."""
        return self._given_settings or FilestoreSettings()

    @asynccontextmanager
    async def lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        """Register the settings' backends while the application runs; a lifespan of your own may call it, too.

        It logs tables that are missing or lack their triggers (with FILESTORE_PROBE it refuses to start, and where a
        ledger can't be written, too) and commits that don't last. With FILESTORE_SWEEP_EVERY it sweeps all the while.
        At the end, requests that the server has cancelled undo what they stored, and reserved keys that are unused are
        given back.

        Raises:
            ConfigurationError: The application can't work as it is put together: a setting is wrong, a column has no
                backend, a route has two readers of one body. uvicorn prints its sentences, and no traceback.
        """
        async with AsyncExitStack() as stack:
            with failing_in_sentences():
                self._app = app
                await stack.enter_async_context(self.backends())
                self.describe(app)
                stack.push_async_callback(_release_reserved)
                stack.push_async_callback(let_cancelled_finish)
                stack.enter_context(redacting_access_log())
                stack.enter_context(noting_root_path(app))
                stack.enter_context(serving())
                probe = self.settings.probe
                await check_databases(self._databases, probe=bool(probe), write=probe is True)
                if self.settings.sweep_every is not None:
                    await self._databases.ledgers()  # what is missing is told at the start
                require_backends(self._models, self.registry)
                if self.settings.sweep_every is not None:
                    await stack.enter_async_context(sweeping(self.sweep, every=self.settings.sweep_every))
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
        settings = self.settings
        if "redirect" in {settings.downloads, *(backend.downloads for backend in settings.backends.values())}:
            describe_redirects(app.routes)
        require_distinct_parameters(app.routes)  # last: from now on FastAPI remembers what the routes say

    @asynccontextmanager
    async def backends(self) -> AsyncIterator[None]:
        """Register the settings' backends while the block runs: what a script needs of the lifespan."""
        vars(self).pop("settings", None)  # the environment may say something else than at the start before
        app, settings = self._app, self.settings
        root = "" if app is None else root_path(app)
        url = settings.public_url + SIGNED_URL  # what a token is appended to
        if app is not None and settings.signing_keys and not settings.public_url:
            url = signed_url_of(app)
        async with registering_backends(settings, self.registry, base_url=url, root_path=root):
            yield

    @overload
    def service(
        self,
        model: type[ServiceT],
        *,
        scope: Dependency | None = None,
        defaults: Mapping[str, Dependency] = NO_DEFAULTS,
    ) -> Callable[..., ServiceT]: ...

    @overload
    def service(
        self, model: type[ModelT], *, scope: Dependency | None = None, defaults: Mapping[str, Dependency] = NO_DEFAULTS
    ) -> Callable[..., FileService[ModelT]]: ...

    def service(
        self,
        model: Annotated[type[Any], _SERVICE],
        *,
        scope: Dependency | None = None,
        defaults: Mapping[str, Dependency] = NO_DEFAULTS,
    ) -> Callable[..., Any]:
        """Return the provider of a model's service, or of a `FileService` subclass: `Depends(files.service(Document))`.

        The request is one unit of work: it is committed before the response is sent, and rolled back on an error.
        Keep the provider in a name, so that `app.dependency_overrides` can replace it.

        Args:
            model: A mapped class, or a subclass of `FileService` that knows its model.
            scope: A dependency that returns the condition of the rows that a request may work with; others are 404.
            defaults: Dependencies that return values of new rows, by attribute: `{"owner_id": current_user_id}`.
        """
        if self._get_session is None:
            raise ConfigurationError("Services need a session: give your session dependency to Filestore(get_session).")
        make, mapped = service_of(model)
        self._remember(mapped)
        bounds = bounds_of(mapped, scope, defaults)
        provider = service_provider(self._get_session, make, bounds, hold_session=self._hold_session)
        self._reserved[provider] = frozenset(defaults)
        return provider

    def router(
        self,
        model: Annotated[type[ModelT], _ROUTER],
        *,
        service: Callable[..., FileService[ModelT]] | None = None,
        scope: Dependency | None = None,
        defaults: Mapping[str, Dependency] = NO_DEFAULTS,
        dependencies: Sequence[Depends] = (),
        field: str | None = None,
        read: type[BaseModel] | None = None,
        create: type[BaseModel] | None = None,
        update: type[BaseModel] | None = None,
        downloads: DownloadWay | None = None,
        visibility: Visibility = "private",
        cross_origin: CrossOrigin | None = None,
        max_size: int | str | None = None,
        content_types: Sequence[str] = (),
        sniff: bool = False,
        validators: Sequence[AnyValidator] = (),
        unknown_fields: UnknownFields = "ignore",
        upload_url: bool = False,
        identity: str = "identity",
    ) -> APIRouter:
        """Return a new router for a model: upload, list, read, download, replace, change, delete.

        Args:
            model: A mapped class with a `StoredObject` column of one file.
            service: The provider of its service, if it is one of your own; it has the scope and the defaults then.
            scope: A dependency that returns the condition of the rows that a request may see and change, such as
                `Document.owner_id == user.id`; all others are 404, as if they were not there.
            defaults: Dependencies that return values of new rows, by attribute: `{"owner_id": current_user_id}`. No
                client can set these.
            dependencies: What must hold before a byte of a body is read, such as authorization.
            field: The file column, if there are several.
            read: What a response shows of a row; every column if None.
            create: What a client may set on a new row; derived from the columns if None: all but those with a default
                that is a function, SQL or the database's (`default=list`, `default=utcnow`, `server_default=`), which
                are filled in. It may have nothing that the mapper sets by itself, such as a discriminator, nor has
                `update`.
            update: What a client may change; derived from the columns if None.
            downloads: Which way files reach clients, as for `download`.
            visibility: Who may keep a copy of a file, as for `download`.
            cross_origin: Whose pages may embed a file, as for `download`.
            max_size: Largest file, as for `upload`. This and the next three hold beside what the column asks for.
            content_types: What a file may be, as for `upload`.
            sniff: Whether types must agree, as for `upload`.
            validators: Who may refuse a file, as for `upload`.
            unknown_fields: What becomes of a form's fields that are no attributes of the model: uploaders of browsers
                send some unasked, so they are ignored; `refuse` answers 422, by name. Attributes that clients may not
                set are always refused, and models of your own that say `extra=` decide themselves.
            upload_url: Add `POST /upload-url`, which signs a URL that a client can store a file at by itself. The row
                that takes what was stored there is yours to write.
            identity: What the paths call a row's primary key, where a prefix of yours has a parameter of that name.
        """
        mapped_class(model, method="router")
        self._remember(model)
        for name, given in {"read": read, "create": create, "update": update}.items():
            require_schema(given, name=f"{name}= of files.router")
        for dependency in dependencies:
            require_depends(dependency)
        if service is not None:
            require_service_provider(service)
        if service is not None and (scope is not None or defaults):
            raise ConfigurationError("A provider has its own scope and defaults: give them to files.service(...).")
        DownloadOptions(downloads or "stream", visibility, cross_origin=cross_origin)  # refuses words that are none
        if service is None:
            refuse_rowless(model)
        provider = service or self.service(model, scope=scope, defaults=defaults)
        reserved = self._reserved.get(provider, frozenset())
        resource = resource_of(
            model,
            field=field,
            schemas=derive_schemas(model, read=read, create=create, update=update, reserved=reserved),
            limits=self._limits,
            url_seconds=lambda: self.settings.url_expiry,
            download=partial(self.download, downloads=downloads, visibility=visibility, cross_origin=cross_origin),
            redirects=downloads == "redirect",
            reserved=reserved,
            rules=file_rules(max_size=max_size, content_types=content_types, sniff=sniff, validators=validators),
            unknown_fields=unknown_fields,
        )
        if service is None:
            resource.require_rows()
        return file_router(resource, provider, dependencies=dependencies, upload_url=upload_url, identity=identity)

    def upload(
        self,
        field: Annotated[str, _UPLOAD] = "file",
        *,
        max_size: int | str | None = None,
        content_types: Sequence[str] = (),
        sniff: bool = False,
        fields: type[BaseModel] | None = None,
        validators: Sequence[AnyValidator] = (),
    ) -> UploadDependency[Upload]:
        """Return a dependency that gives a route the file of its request, on its way: store it with the service.

        >>> Annotated[Upload, Depends(files.upload(max_size="2 GiB", content_types=["application/pdf", "image/*"]))]

        Args:
            field: The form's field that has the file; a body that is no form is the file itself.
            max_size: Largest file, in bytes or with a unit; FILESTORE_MAX_UPLOAD_SIZE if None.
            content_types: What it may be, such as `image/*`; anything if empty. Without `sniff`, clients are believed.
            sniff: Refuse a file whose declared type, name and first bytes contradict each other: `TypesAgree()` before
                the other validators. Needs the extra `sniff`.
            fields: What the other fields must be: `upload.values` once it is stored. Any text if None.
            validators: Who may refuse it, by its first bytes (`Validator`) or as it is stored (`ObjectValidator`).
        """
        if not field or not isinstance(field, str):
            raise ConfigurationError(f"files.upload({field!r}): give the name of the form's field, such as 'file'.")
        require_schema(fields, name="fields= of files.upload")
        rules = file_rules(max_size=max_size, content_types=content_types, sniff=sniff, validators=validators)
        session = None if self._hold_session else self._get_session
        return UploadDependency(receive_upload, field, self._limits, rules, fields, session)

    def uploads(
        self,
        field: Annotated[str, _UPLOADS] = "files",
        *,
        max_files: int,
        max_size: int | str | None = None,
        content_types: Sequence[str] = (),
        sniff: bool = False,
        fields: type[BaseModel] | None = None,
        validators: Sequence[AnyValidator] = (),
    ) -> UploadDependency[Uploads]:
        """Return a dependency that gives a route the files of its form, one after the other as they come.

        The service takes them for a column of several files and stores all or none. Every file of the form is in one
        field; the other arguments are those of `upload`.
        """
        single = self.upload(
            field, max_size=max_size, content_types=content_types, sniff=sniff, fields=fields, validators=validators
        )
        file_rules(max_files=max_files)  # from 1 on
        return UploadDependency(
            receive_uploads, single.field, single.limits, single.rules, single.fields, single.get_session, max_files
        )

    async def download(
        self,
        request: Request,
        file: Annotated[FileObject, _DOWNLOAD],
        *,
        downloads: DownloadWay | None = None,
        visibility: Visibility = "private",
        immutable: bool = False,
        attachment: bool = False,
        cross_origin: CrossOrigin | None = None,
    ) -> Response:
        """Return the response of a route of your own, to GET or HEAD, that serves a file.

        It answers conditions and ranges, and has the headers that keep a browser safe from what others uploaded.

        Args:
            request: The request.
            file: A stored file.
            downloads: `stream` it, `redirect` to the store, or have nginx do it (`accel`); as set for the backend, or
                by FILESTORE_DOWNLOADS, if None. What the store has no safe URL for is streamed.
            visibility: Who may keep a copy: the client alone, or caches that many share (`public`), too.
            immutable: Say that the request's URL will never mean other bytes, so that nobody need ask again.
            attachment: Make it a download even if a browser could show it.
            cross_origin: Whose pages may embed it as a picture, sound or film (Cross-Origin-Resource-Policy):
                `same-origin`, `same-site`, which has the other hosts of your domain, or `cross-origin`, which is all.
                If None, those of the same site, and all if it is public.
        """
        settings, backend = self.settings, self.settings.backends.get(file.backend_in_use().key)
        way = downloads or (backend and backend.downloads) or settings.downloads
        options = DownloadOptions(
            way, visibility, immutable, attachment, settings.url_expiry, settings.accel_prefix, cross_origin
        )
        return await download(request, file, options)

    # -- maintenance ---------------------------------------------------------------------------------

    def _remember(self, model: type | None) -> None:
        if model is not None:
            self._models[model] = None

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
        return await backlog_of(await self._databases.ledgers())

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

    def signed_router(self, *, cross_origin: CrossOrigin = "cross-origin") -> APIRouter:
        """Return the router that honours signed URLs of backends that can't presign.

        The URLs are where it is included or mounted, below the root path of the request; with FILESTORE_PUBLIC_URL,
        include it in the application itself, without a prefix.

        Args:
            cross_origin: Whose pages may embed a file, as for `download`. Whoever knows a signed URL can fetch the file
                anyway, so the default is all pages, as with URLs that a store signs.
        """
        DownloadOptions(cross_origin=cross_origin)  # refuses a word that is none
        return signed_router(self.registry, self._limits, partial(self.download, cross_origin=cross_origin))

    def _limits(self) -> FormLimits:
        return FormLimits(
            file_size=self.settings.max_upload_size,
            fields=self.settings.max_form_fields,
            field_size=self.settings.max_field_size,
            json_size=self.settings.max_json_size,
            json_values=self.settings.max_json_values,
            json_depth=self.settings.max_json_depth,
            pace=Pace(
                silence=self.settings.upload_silence,
                least_rate=self.settings.upload_least_rate,
                over=self.settings.upload_rate_seconds,
            ),
        )

    @property
    def exception_handlers(self) -> dict[Any, Any]:
        """Handlers that make the library's errors problem details in every route: `FastAPI(exception_handlers=…)`."""
        return {FilestoreError: answer_error, Problem: answer_problem}


for _method, _right in {
    Filestore.router: 'app.include_router(files.router(Document), prefix="/documents")',
    Filestore.signed_router: "app.include_router(files.signed_router())",
}.items():
    # What older and newer versions of FastAPI look at first of what they include.
    vars(_method).update(routes=NoRouter(_right), _contains_router=NoRouter(_right))


async def _release_reserved() -> None:
    try:
        await release_reservations()
    except (FilestoreError, SQLAlchemyError, OSError) as error:
        # What is not given back falls due, and costs a sweeper one look.
        RELEASE_FAILED.tell(error)
