"""Give an application its services, routers and downloads: `Filestore`."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Annotated, Any, TypedDict, TypeVar, overload

from fastapi import APIRouter, Request, Response
from fastapi.params import Depends
from pydantic import BaseModel

from fastapi_filestore.errors import ConfigurationError, FilestoreError
from fastapi_filestore.file_object import FileObject
from fastapi_filestore.file_object.validators import AnyValidator, file_rules
from fastapi_filestore.filestore.lifecycle import Lifecycle
from fastapi_filestore.intake.forms.limits import FormLimits, Pace
from fastapi_filestore.intake.upload import Upload, Uploads
from fastapi_filestore.orm.uploads.tables import tables_of_uploads
from fastapi_filestore.service import FileService
from fastapi_filestore.service.new_rows import refuse_rowless
from fastapi_filestore.service.start.readiness import Readiness, parts_of
from fastapi_filestore.settings.values import DownloadWay
from fastapi_filestore.uploads.options import UploadOptions
from fastapi_filestore.web.problems import Problem, ProblemRoute, answer_error
from fastapi_filestore.web.provider import bounds_of, service_provider
from fastapi_filestore.web.receiving.form_fields import UnknownFields
from fastapi_filestore.web.receiving.uploads import receive_upload, receive_uploads
from fastapi_filestore.web.routes.dependencies import UploadDependency
from fastapi_filestore.web.routes.openapi.answers import FILE_ROUTE
from fastapi_filestore.web.routes.readiness import readiness_router
from fastapi_filestore.web.routes.resource import Download, resource_of
from fastapi_filestore.web.routes.router import file_router
from fastapi_filestore.web.routes.schemas import derive_schemas
from fastapi_filestore.web.routes.signed import SIGNED_TAG, signed_router
from fastapi_filestore.web.routes.uploaded import uploaded_file
from fastapi_filestore.web.serving.downloads import download
from fastapi_filestore.web.serving.options import CrossOrigin, DownloadOptions, Visibility
from fastapi_filestore.web.serving.zip_downloads import ZippedFiles, zip_download
from fastapi_filestore.web.wiring import (
    CalledFirst,
    Dependency,
    NoRouter,
    mapped_class,
    require_depends,
    require_schema,
    require_service_provider,
    service_of,
    sortable_of,
)

ModelT = TypeVar("ModelT")
ServiceT = TypeVar("ServiceT", bound=FileService[Any])

NO_DEFAULTS: Mapping[str, Dependency] = MappingProxyType({})

_SERVICE = CalledFirst("files.service", "Depends(files.service(Document))")
_ROUTER = CalledFirst("files.router", 'app.include_router(files.router(Document), prefix="/documents")')
_UPLOAD = CalledFirst("files.upload", "Depends(files.upload())")
_UPLOADS = CalledFirst("files.uploads", "Depends(files.uploads(max_files=10))")
_DOWNLOAD = CalledFirst("files.download", "return await files.download(request, file)")
_ZIP = CalledFirst("files.zip_download", "return await files.zip_download(request, row.pages)")


class Serving(TypedDict):
    """The limits and downloads of a resource, as the settings have them."""

    limits: Callable[[], FormLimits]
    url_seconds: Callable[[], int]
    download: Download
    redirects: bool


class Filestore(Lifecycle):
    """File storage for one application: its backends live from the start to the end of the lifespan.

    >>> files = Filestore(get_session)
    >>> app = FastAPI(lifespan=files.lifespan)
    >>> get_document_service = files.service(Document)
    >>> app.include_router(files.router(Document), prefix="/documents")
    """

    @overload
    def service(
        self,
        model: type[ServiceT],
        *,
        scope: Dependency | None = None,
        defaults: Mapping[str, Dependency] = NO_DEFAULTS,
        sortable: Sequence[str] | None = None,
    ) -> Callable[..., ServiceT]: ...

    @overload
    def service(
        self,
        model: type[ModelT],
        *,
        scope: Dependency | None = None,
        defaults: Mapping[str, Dependency] = NO_DEFAULTS,
        sortable: Sequence[str] | None = None,
    ) -> Callable[..., FileService[ModelT]]: ...

    def service(
        self,
        model: Annotated[type[Any], _SERVICE],
        *,
        scope: Dependency | None = None,
        defaults: Mapping[str, Dependency] = NO_DEFAULTS,
        sortable: Sequence[str] | None = None,
    ) -> Callable[..., Any]:
        """Return the provider of a model's service, or of a `FileService` subclass: `Depends(files.service(Document))`.

        The request is one unit of work: it is committed before the response is sent, and rolled back on an error.
        Keep the provider in a name, so that `app.dependency_overrides` can replace it. The same model, scope and
        defaults have the same provider, whoever asks for it: also `files.router(Document)`.

        Args:
            model: A mapped class, or a subclass of `FileService` that knows its model.
            scope: A dependency that returns the condition of the rows that a request may work with; others are 404.
            defaults: Dependencies that return values of new rows, by attribute: `{"owner_id": current_user_id}`.
            sortable: Columns that a listing may be sorted by, if a request asks for it; those of the class if None.
        """
        if self._get_session is None:
            raise ConfigurationError("Services need a session: give your session dependency to Filestore(get_session).")
        make, mapped = service_of(model)
        if mapped is not None:
            self._models[mapped] = None
        bounds = bounds_of(mapped, scope, defaults, sortable_of(make) if sortable is None else sortable)
        asked_for = model, scope, frozenset(defaults.items()), tuple(bounds.sortable or ())
        if asked_for not in self._providers:
            provider = service_provider(self._get_session, make, bounds, hold_session=self._hold_session)
            self._providers[asked_for] = provider
            self._reserved[provider] = frozenset(defaults)
            self._sortable[provider] = bounds.sortable or ()
        return self._providers[asked_for]

    def router(
        self,
        model: Annotated[type[ModelT], _ROUTER],
        *,
        service: Callable[..., FileService[ModelT]] | None = None,
        scope: Dependency | None = None,
        defaults: Mapping[str, Dependency] = NO_DEFAULTS,
        sortable: Sequence[str] | None = None,
        dependencies: Sequence[Depends] = (),
        field: str | None = None,
        read_only: Sequence[str] = (),
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
        keep_folders: bool = False,
        uploads: bool | UploadOptions = False,
        identity: str = "identity",
    ) -> APIRouter:
        """Return a new router for a model: upload, list, read, download, replace, change, delete.

        Args:
            model: A mapped class with `StoredObject` columns: of one file, of several, or both.
            service: The provider of its service, if it is one of your own; it has the scope, the defaults and the
                sortable columns then.
            scope: A dependency that returns the condition of the rows that a request may see and change, such as
                `Document.owner_id == user.id`; all others are 404, as if they were not there.
            defaults: Dependencies that return values of new rows, by attribute: `{"owner_id": current_user_id}`. No
                client can set these.
            sortable: Columns that `?sort=` takes, `-` before one for descending: `?sort=-created_at,title`.
            dependencies: What must hold before a byte of a body is read, such as authorization.
            field: The file column at `…/file`, if it is not the one called `file` or the first one of one file. Every
                column is at a path of its own name.
            read_only: File columns that clients fetch and never write, such as a preview that a worker makes; those
                that have `defaults=` are read-only as well.
            read: What a response shows of a row; every column if None. A file column that it leaves out has no path,
                unless it is the only one.
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
            keep_folders: Keep the folder that a client had a file in, as for `upload`.
            uploads: Add `…/uploads`: a client stores a file straight in the bucket, or sends it in parts that survive
                a lost connection, and a row takes it by its id. `UploadOptions` says whose they are, and how many
                there may be. Needs `add_uploads(Base.metadata)`, beside `add_ledger`.
            identity: What the paths call a row's primary key, where a prefix of yours has a parameter of that name.
        """
        for name, given in {"read": read, "create": create, "update": update}.items():
            require_schema(given, name=f"{name}= of files.router")
        for dependency in dependencies:
            require_depends(dependency)
        provider = self._provider(model, service, scope, defaults, sortable)
        reserved = self._reserved.get(provider, frozenset())
        schemas = derive_schemas(
            model, read=read, create=create, update=update, reserved=reserved, read_only=frozenset(read_only)
        )
        rules = file_rules(max_size=max_size, content_types=content_types, sniff=sniff, validators=validators)
        ways = self._serving(downloads, visibility, cross_origin)
        resource = resource_of(
            model,
            field=field,
            schemas=schemas,
            reserved=reserved,
            rules=rules,
            unknown_fields=unknown_fields,
            keeps_folders=keep_folders,
            read_only=read_only,
            **ways,
        )
        if service is None:
            resource.require_rows()
        if uploads:
            tables = tables_of_uploads(model)
            resource = resource.keeping_uploads(tables, UploadOptions() if uploads is True else uploads)
            self._resources_with_uploads.setdefault(model, []).append((resource, provider))
        self._tags[resource.name] = f"Rows of {model.__name__} and their files."
        return file_router(
            resource,
            provider,
            dependencies=dependencies,
            sortable=self._sortable.get(provider, sortable_of(provider)),
            route_class=self._route_class(is_authorized_later=provider in self._sortable),
            identity=identity,
        )

    def upload(
        self,
        field: Annotated[str, _UPLOAD] = "file",
        *,
        max_size: int | str | None = None,
        content_types: Sequence[str] = (),
        sniff: bool = False,
        fields: type[BaseModel] | None = None,
        validators: Sequence[AnyValidator] = (),
        keep_folders: bool = False,
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
            keep_folders: Keep the folder that the client had it in, of uploads of whole folders: `file.folder`, which
                is its metadata `folder`. It comes with the name, or in a field such as `relativePath`.
        """
        if not field or not isinstance(field, str):
            raise ConfigurationError(f"files.upload({field!r}): give the name of the form's field, such as 'file'.")
        require_schema(fields, name="fields= of files.upload")
        rules = file_rules(max_size=max_size, content_types=content_types, sniff=sniff, validators=validators)
        session = None if self._hold_session else self._get_session
        return UploadDependency(receive_upload, field, self._limits, rules, fields, session, keeps_folders=keep_folders)

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
        keep_folders: bool = False,
    ) -> UploadDependency[Uploads]:
        """Return a dependency that gives a route the files of its form, one after the other as they come.

        The service takes them for a column of several files and stores all or none. Every file of the form is in one
        field; the other arguments are those of `upload`.
        """
        single = self.upload(
            field,
            max_size=max_size,
            content_types=content_types,
            sniff=sniff,
            fields=fields,
            validators=validators,
            keep_folders=keep_folders,
        )
        file_rules(max_files=max_files)  # from 1 on
        return UploadDependency(
            receive_uploads,
            single.field,
            single.limits,
            single.rules,
            single.fields,
            single.get_session,
            max_files,
            keep_folders,
        )

    def uploaded(
        self,
        model: Annotated[type[Any], _SERVICE],
        *,
        field: str | None = None,
        service: Callable[..., FileService[Any]] | None = None,
    ) -> Callable[..., Any]:
        """Return a dependency that gives a route of your own the file of the upload that its request names.

        >>> file: Annotated[FileObject, Depends(files.uploaded(Document))]

        The id is in the field `upload` of the form, of the JSON or of the query. The upload is one of the request's
        own, complete, and judged by the rules of router and column. It belongs to the row that the route gives the file
        to, by a service of the same session; if no row takes it, it stays an upload. For a column of several files it
        is a list, and the field may have several ids, with commas between in a form or a query.

        Args:
            model: The class whose router has `uploads=`, and was made before.
            field: The column that the upload is for, if there are several; that at `/file` by default.
            service: The provider of that router's service, if several routers of the model have uploads.

        Raises:
            ConfigurationError: No router of the model has `uploads=`, or several do, or `field` is no column of files.
        """
        found = [
            (resource, provider)
            for resource, provider in self._resources_with_uploads.get(model, [])
            if service in {None, provider}
        ]
        if len(found) != 1:
            problem = (
                "several routers have uploads=: name one by service="
                if found
                else "make its router first, with uploads="
            )
            raise ConfigurationError(f"files.uploaded({getattr(model, '__name__', model)}): {problem}.")
        ((resource, provider),) = found
        assert resource.uploads is not None
        if (name := field or resource.attribute.name) not in resource.uploads.targets:
            columns = ", ".join(resource.uploads.targets)
            raise ConfigurationError(
                f"files.uploaded({model.__name__}, field={name!r}): its uploads are for {columns}."
            )
        return uploaded_file(resource, provider, name)

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

    @property
    def download_route(self) -> dict[str, Any]:
        """What a route that answers with `download` tells OpenAPI: bytes, their headers, ranges and conditions.

        >>> @app.get("/reports/{id}/file", **files.download_route)
        """
        return dict(FILE_ROUTE)

    async def zip_download(
        self, request: Request, files: Annotated[ZippedFiles, _ZIP], *, filename: str = "files.zip"
    ) -> Response:
        """Return the response of a route of your own, to GET, HEAD or POST, that serves many files as one ZIP archive.

        It is made while it is sent, with one file open at a time. The first one is opened before the response begins;
        one that fails later breaks the download off. Names are made unique, and safe for every system.

        Args:
            request: The request.
            files: Stored files, as a list column has them; None among them is passed over. A pair names one:
                `("2026/May.pdf", file)`, or its folder alone: `("2026/", file)`. Of an iterable, the length of the
                archive is told in advance, if rows know the files' sizes; an asynchronous one is read while the
                archive is sent.
            filename: What to call the archive.
        """
        return await zip_download(request, files, filename=filename)

    def signed_router(self, *, cross_origin: CrossOrigin = "cross-origin") -> APIRouter:
        """Return the router that honours signed URLs of backends that can't presign.

        The URLs are where it is included or mounted, below the root path of the request; with FILESTORE_PUBLIC_URL,
        include it in the application itself, without a prefix.

        Args:
            cross_origin: Whose pages may embed a file, as for `download`. Whoever knows a signed URL can fetch the file
                anyway, so the default is all pages, as with URLs that a store signs.
        """
        DownloadOptions(cross_origin=cross_origin)  # refuses a word that is none
        self.honours_signed_urls = True
        self._tags[SIGNED_TAG] = "Files by URLs that the application signed, for stores that can't."
        serve = partial(self.download, cross_origin=cross_origin)
        return signed_router(self.registry, self._limits, serve, self._route_class())

    def _route_class(self, *, is_authorized_later: bool = False) -> type[ProblemRoute]:
        """Return the class of routes that go by these settings."""

        def refuses_unknown() -> bool:
            return self.settings.unknown_query == "refuse"

        members = {"refuses_unknown": staticmethod(refuses_unknown), "is_authorized_later": is_authorized_later}
        return type("FileRoute", (ProblemRoute,), members)

    def readiness(
        self, path: str = "/ready", *, timeout: float = 2.0, max_age: float = 5.0, include_in_schema: bool = False
    ) -> APIRouter:
        """Return a router for load balancers: 200 if all databases and backends answer, else 503, to GET and HEAD.

        >>> app.include_router(files.readiness())

        The databases are those of the models that services and routers were made for, the backends those of their
        columns; each is asked by a cheap call. Answers tell nothing of why: `fastapi_filestore.not_ready` of the log
        does. It says nothing of whether the process should be killed: for that, have a route that asks nobody.

        Args:
            path: Where it is.
            timeout: Seconds that all of them may take to answer.
            max_age: Seconds for which an answer is kept; many requests at once make one check.
            include_in_schema: Show it in OpenAPI.
        """
        self._tells_readiness = True
        parts = partial(parts_of, self._databases, self._models, self.registry)
        readiness = Readiness(parts, timeout=timeout, max_age=max_age)
        return readiness_router(readiness, path, include_in_schema=include_in_schema)

    def _provider(
        self,
        model: type[ModelT],
        service: Callable[..., FileService[ModelT]] | None,
        scope: Dependency | None,
        defaults: Mapping[str, Dependency],
        sortable: Sequence[str] | None,
    ) -> Callable[..., FileService[ModelT]]:
        """Return the provider of a router's service: that of the application, or a new one."""
        mapped_class(model, method="router")
        self._models[model] = None
        if service is None:
            refuse_rowless(model)
            return self.service(model, scope=scope, defaults=defaults, sortable=sortable)
        require_service_provider(service)
        if scope is not None or defaults or sortable is not None:
            raise ConfigurationError(
                "A provider has its own scope, defaults and sortable columns: give them to files.service(...)."
            )
        return service

    def _serving(
        self, downloads: DownloadWay | None, visibility: Visibility, cross_origin: CrossOrigin | None
    ) -> Serving:
        """Return what the routes of a resource take from the settings, which are read at the start."""
        DownloadOptions(downloads or "stream", visibility, cross_origin=cross_origin)  # refuses words that are none
        return {
            "limits": self._limits,
            "url_seconds": lambda: self.settings.url_expiry,
            "download": partial(self.download, downloads=downloads, visibility=visibility, cross_origin=cross_origin),
            "redirects": downloads == "redirect",
        }

    def _limits(self) -> FormLimits:
        return FormLimits(
            file_size=self.settings.max_upload_size,
            fields=self.settings.max_form_fields,
            field_size=self.settings.max_field_size,
            json_size=self.settings.max_json_size,
            json_values=self.settings.max_json_values,
            json_depth=self.settings.max_json_depth,
            segment=self.settings.upload_segment,
            pace=Pace(
                silence=self.settings.upload_silence,
                least_rate=self.settings.upload_least_rate,
                over=self.settings.upload_rate_seconds,
            ),
        )

    @property
    def exception_handlers(self) -> dict[Any, Any]:
        """Handlers that make the library's errors problem details in every route: `FastAPI(exception_handlers=…)`."""
        return {FilestoreError: answer_error, Problem: answer_error}


for _method, _right in {
    Filestore.router: 'app.include_router(files.router(Document), prefix="/documents")',
    Filestore.signed_router: "app.include_router(files.signed_router())",
    Filestore.readiness: "app.include_router(files.readiness())",
}.items():
    # What older and newer versions of FastAPI look at first of what they include.
    vars(_method).update(routes=NoRouter(_right), _contains_router=NoRouter(_right))
