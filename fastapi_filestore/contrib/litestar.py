"""Show, download and refuse files in an application of Litestar.

>>> from fastapi_filestore.contrib.litestar import FileDownload, FilestorePlugin
>>> @get("/documents/{identity:int}/file")
... async def read_file(identity: int, service: DocumentService) -> FileDownload:
...     return FileDownload(await service.file(identity))
>>> dependencies = {"service": provide_service(DocumentService, Session)}
>>> app = Litestar([read_file], dependencies=dependencies, plugins=[FilestorePlugin(Filestore())])
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache
from typing import Any, TypeAlias, TypedDict, Unpack, cast

from litestar import Litestar, Request, Response
from litestar.config.app import AppConfig
from litestar.di import Provide
from litestar.openapi.spec import OpenAPIFormat, OpenAPIType, Schema
from litestar.plugins import InitPlugin, OpenAPISchemaPlugin
from litestar.typing import FieldDefinition
from pydantic import BaseModel, TypeAdapter
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Session
from starlette.requests import Request as StarletteRequest
from starlette.types import Receive, Scope, Send

from fastapi_filestore.errors import FilestoreError
from fastapi_filestore.file_object import FileObject
from fastapi_filestore.file_object.schema import FileRead
from fastapi_filestore.filestore import Filestore
from fastapi_filestore.settings.values import DownloadWay
from fastapi_filestore.web.paths import name_request
from fastapi_filestore.web.problems import problem_of
from fastapi_filestore.web.routes.schemas import derive_schemas
from fastapi_filestore.web.serving.options import CrossOrigin, Visibility
from fastapi_filestore.web.wiring import service_of


class Options(TypedDict, total=False):
    """What `Filestore.download` takes."""

    downloads: DownloadWay | None
    visibility: Visibility
    immutable: bool
    attachment: bool
    cross_origin: CrossOrigin | None


Sessions: TypeAlias = Callable[[], Session | AsyncSession]
_FILE = TypeAdapter(FileObject)


def provide_service(model: type[Any], sessions: Sessions) -> Provide:
    """Return the dependency that gives a handler a service: `Litestar(dependencies={"service": …})`.

    The request is one unit of work: it is committed before the response is sent, and rolled back on an error. The
    session is its own, since Litestar ends a request's dependencies all at once.

    Args:
        model: A mapped class, or a subclass of `FileService` that knows its model.
        sessions: What makes a session: a sessionmaker, or an async_sessionmaker with `expire_on_commit=False`.
    """
    make, _ = service_of(model)

    async def provide() -> AsyncGenerator[Any, None]:
        async with AsyncExitStack() as stack:
            session = sessions()
            if isinstance(session, AsyncSession):
                await stack.enter_async_context(session)
            else:
                stack.enter_context(session)
            service = make(session)
            stack.callback(service.refuse_writes)
            await stack.enter_async_context(service.unit_of_work())
            yield service

    return Provide(provide)


class FileDownload:
    """A response that sends a stored file, with ranges, conditions and the headers that keep a browser safe."""

    def __init__(self, file: FileObject, **options: Unpack[Options]) -> None:
        """Send a file as `Filestore.download` does; the options are its own."""
        self.file, self.options = file, options

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        files = scope["litestar_app"].plugins.get(FilestorePlugin).files
        response = await files.download(StarletteRequest(scope, receive), self.file, **self.options)
        await response(scope, receive, send)


def show_file(file: FileObject) -> Any:
    """Return a file as a response shows it: without its backend and its path."""
    return _FILE.dump_python(file, mode="json")


def show_row(row: Any) -> dict[str, Any]:
    """Return a row as the router shows it: its columns, files as `show_file` does."""
    model: type = type(row)
    return _schema_of(model).model_validate(row, from_attributes=True).model_dump(mode="json")


TYPE_ENCODERS: Mapping[Any, Callable[[Any], Any]] = {FileObject: show_file, DeclarativeBase: show_row}
"""What the plugin adds to `type_encoders`; a base of rows that is no `DeclarativeBase` can have `show_row` there."""


@cache
def _schema_of(model: type) -> type[BaseModel]:
    return derive_schemas(model).read


def answer_error(request: Request[Any, Any, Any], error: FilestoreError) -> Response[bytes]:
    """Answer an error of the library with a problem detail."""
    name_request(cast("Scope", request.scope))
    response = problem_of(error).response()
    return Response(
        bytes(response.body), status_code=response.status_code, headers=dict(response.headers), media_type=None
    )


class FilestorePlugin(InitPlugin, OpenAPISchemaPlugin):
    """Let an application of Litestar show files and rows, answer the library's errors, and have its backends.

    Backends are registered while the application runs; without a Filestore they are yours to register.
    """

    def __init__(self, files: Filestore | None = None) -> None:
        """Bind a Filestore, whose settings say what is served how."""
        self.files, self._is_given = files or Filestore(), files is not None

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Set the application up; what it has said itself stays."""
        app_config.type_encoders = {**TYPE_ENCODERS, **(app_config.type_encoders or {})}
        app_config.exception_handlers = {FilestoreError: answer_error, **app_config.exception_handlers}
        if self._is_given:
            app_config.lifespan.append(self._open)
        return app_config

    @asynccontextmanager
    async def _open(self, app: Litestar) -> AsyncIterator[None]:
        async with self.files.opened():
            yield

    @staticmethod
    def is_plugin_supported_type(value: Any) -> bool:
        """Tell whether a type of a response is one that this plugin describes."""
        return isinstance(value, type) and issubclass(value, FileObject | FileDownload | DeclarativeBase)

    def to_openapi_schema(self, field_definition: FieldDefinition, schema_creator: Any) -> Schema:
        """Describe a type of a response."""
        shown = field_definition.annotation
        if issubclass(shown, FileDownload):
            return Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.BINARY)
        model = FileRead if issubclass(shown, FileObject) else _schema_of(shown)
        schema: Schema = schema_creator.for_field_definition(FieldDefinition.from_annotation(model))
        return schema
