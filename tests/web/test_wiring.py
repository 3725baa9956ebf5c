"""What newcomers write wrong where an application is put together: each is told with what to write."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from pydantic import BaseModel
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Session, sessionmaker
from sqlmodel import SQLModel

from fastapi_filestore import (
    ConfigurationError,
    FileObject,
    FileService,
    Filestore,
    FilestoreSettings,
    StoredObject,
    TypesAgree,
    Upload,
    Uploads,
)
from tests.web.conftest import Serve
from tests.web.models import Document

sessions = async_sessionmaker(create_async_engine("sqlite+aiosqlite://"))


async def get_session() -> AsyncIterator[AsyncSession]:
    """Give a request its session."""
    async with sessions() as session:
        yield session


@asynccontextmanager
async def entered() -> AsyncIterator[AsyncSession]:
    """Give a session, but not to FastAPI."""
    async with sessions() as session:
        yield session


class Base(DeclarativeBase):
    """A class that others are derived from."""


class Plain:
    """A class that nobody mapped."""


class Schema(BaseModel):
    """What a response shows."""


class Tableless(SQLModel):
    """A model of SQLModel's without a table."""


files: Any = Filestore(get_session, settings=FilestoreSettings(_env_file=None))
get_document_service = files.service(Document)
DOCUMENT: Any = Document
ANY_FILESTORE: Any = Filestore
ANY_COLUMN: Any = StoredObject


@pytest.mark.parametrize(
    ("given", "right"),
    [
        (files.upload, "Write Depends(files.upload())."),
        (files.uploads, "Write Depends(files.uploads(max_files=10))."),
        (files.service, "Write Depends(files.service(Document))."),
        (files.router, "Write app.include_router(files.router(Document)"),
        (files.download, "Write return await files.download(request, file)."),
    ],
)
def test_a_method_that_gives_a_dependency_is_none(given: Callable[..., Any], right: str) -> None:
    """Depends with the method itself, without its parentheses, is refused as the route is declared."""

    async def route(value: Any) -> None: ...

    route.__annotations__["value"] = Annotated[Any, Depends(given)]
    with pytest.raises(ConfigurationError) as raised:
        FastAPI().post("/")(route)

    assert right in str(raised.value)


@pytest.mark.parametrize("prefix", ["", "/files"])
@pytest.mark.parametrize("method", ["router", "signed_router"])
def test_a_method_that_gives_a_router_is_none(method: str, prefix: str) -> None:
    """Including the method itself, without its parentheses, is refused with what to write."""
    with pytest.raises(ConfigurationError, match=rf"Write app.include_router\(files.{method}\("):
        FastAPI().include_router(getattr(files, method), prefix=prefix)


@pytest.mark.parametrize(
    ("annotation", "right"),
    [
        (Upload, "upload: Annotated[Upload, Depends(files.upload())]"),
        (Annotated[Upload, files.upload()], "upload: Annotated[Upload, Depends(files.upload())]"),
        (Uploads, "uploads: Annotated[Uploads, Depends(files.uploads(max_files=10))]"),
        (FileService[Document], "service: Annotated[FileService[Document], Depends(files.service(Document))]"),
        (FileService, "service: Annotated[FileService[Document], Depends(files.service(Document))]"),
    ],
)
def test_a_parameter_without_depends(annotation: Any, right: str) -> None:
    """What only Depends can give is refused as the route is declared, with the annotation that belongs there."""

    async def route(value: Any) -> None: ...

    route.__annotations__["value"] = annotation
    with pytest.raises(ConfigurationError) as raised:
        FastAPI().post("/")(route)

    assert right in str(raised.value)


@pytest.mark.parametrize("method", ["service", "router"])
@pytest.mark.parametrize(
    ("model", "texts"),
    [
        (dict, ["dict", "mapped_column(StoredObject())"]),
        (Plain, ["Plain", "mapped_column(StoredObject())"]),
        (Base, ["Base", "mapped_column(StoredObject())"]),
        (Schema, ["Schema", "read="]),
        (Tableless, ["Tableless", "table=True"]),
        (Document.__table__, ["a Table has no rows"]),
        (Document(), ["{method}(Document)"]),
        ("Document", ["'Document'", "give a mapped class itself"]),
        (None, ["None", "give a mapped class itself"]),
        (Document.file, ["give a mapped class itself"]),
        (FileService, ["FileService", "give the model"]),
        (FileService[Document], ["give the model: files.{method}(Document)"]),
        (list[DOCUMENT], ["give the mapped class alone"]),
    ],
)
def test_what_is_no_mapped_class(method: str, model: object, texts: list[str]) -> None:
    """Anything else than a mapped class is refused by name, with what to give instead."""
    with pytest.raises(ConfigurationError) as raised:
        getattr(files, method)(model)

    said = str(raised.value).replace("knows no model: write", "give the model:")
    assert [text for text in texts if text.format(method=method) not in said] == []


@pytest.mark.parametrize(
    ("wire", "right"),
    [
        (lambda: files.service(Document, scope=Document.title == "a"), "a function that returns Document.owner_id =="),
        (lambda: files.service(Document, scope=Depends(get_session)), "give the function alone"),
        (lambda: files.service(Document, defaults={"title": "a"}), "a function that returns the value"),
        (lambda: files.service(Document, defaults={"titel": lambda: "a"}), "has no attribute 'titel'"),
        (lambda: files.router(Document, dependencies=[get_session]), "dependencies=[Depends(get_session)]"),
        (lambda: files.router(Document, service=FileService[Document]), "service=get_document_service"),
        (lambda: files.router(Document, service=Depends(get_document_service)), "give the function alone"),
        (lambda: files.router(Document, read=dict), "a pydantic model"),
        (lambda: files.upload(fields={"title": str}), "a pydantic model"),
        (
            lambda: files.router(Document, visibility="Public"),
            "visibility='Public' is none: write 'private'",
        ),
        (lambda: files.router(Document, cross_origin="*"), "write 'same-origin', 'same-site' or 'cross-origin'"),
        (lambda: files.router(Document, downloads="redir"), "write 'stream', 'redirect' or 'accel'"),
        (lambda: files.router(Document, max_size=0), "max_size=0 takes no file"),
        (lambda: files.router(Document, sniff="yes"), "sniff='yes' is neither True nor False"),
        (lambda: files.router(Document, defaults={"file": lambda: None}), "defaults= gives Document.file"),
        (lambda: files.signed_router(cross_origin="*"), "cross_origin='*' is none"),
        (lambda: files.upload(""), "the name of the form's field"),
        (lambda: ANY_COLUMN(multiple="yes"), "StoredObject(multiple='yes'): write True or False"),
        (lambda: ANY_COLUMN(backend=" "), "the key of a registered backend"),
        (lambda: ANY_COLUMN(prefix="$tenant/"), "a text is taken as it stands"),
        (lambda: ANY_COLUMN(prefix="<tenant>/"), "a text is taken as it stands"),
        (lambda: ANY_COLUMN(prefix="  "), "has no name"),
        (lambda: files.upload(Document), "the name of the form's field"),
        (lambda: files.upload(validators=TypesAgree()), "[TypesAgree()]"),
        (lambda: files.uploads(max_files=0), "from 1 on"),
        (lambda: ANY_FILESTORE(get_session()), "what a call of it returned"),
        (lambda: Filestore(Depends(get_session)), "give the function alone"),
        (lambda: Filestore(entered), "without @contextmanager or @asynccontextmanager"),
        (lambda: ANY_FILESTORE(create_engine("sqlite://")), "engine=engine"),
        (lambda: ANY_FILESTORE(Session()), "One session would serve all requests"),
        (lambda: ANY_FILESTORE(get_session, settings={"probe": True}), "FilestoreSettings(...)"),
    ],
)
def test_what_is_no_dependency(wire: Any, right: str) -> None:
    """What a request could not call, or not use, is refused where it is given."""
    with pytest.raises(ConfigurationError) as raised:
        wire()

    assert right in str(raised.value)


def test_a_provider_that_is_called() -> None:
    """Python's own error says that a provider goes into Depends as it is."""
    with pytest.raises(TypeError, match=r"goes into Depends uncalled"):
        get_document_service()


async def test_a_scope_that_returns_nothing(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """A scope without a return shows no row to anybody, and the log says what to return."""

    def forgotten() -> None: ...

    def build(app: FastAPI, files: Filestore) -> None:
        app.include_router(files.router(Document, scope=forgotten), prefix="/documents")

    async with serve(build=build) as site:
        answer = await site.client.get("/documents/")

    assert answer.status_code == 500
    assert "The scope of Document is None" in caplog.text
    assert "`return Document.owner_id == user.id`" in caplog.text


async def test_a_session_dependency_that_gives_none(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """A session dependency that returns something else is told in the log, with what it is to yield."""

    async def get_nothing() -> AsyncIterator[object]:
        yield object()

    def build(app: FastAPI, files: Filestore) -> None:
        others = Filestore(get_nothing, settings=files.settings, registry=files.registry)
        app.include_router(others.router(Document), prefix="/documents")

    async with serve(build=build) as site:
        answer = await site.client.get("/documents/")

    assert answer.status_code == 500
    assert "get_session gave a object, which is no session: let it yield one" in caplog.text


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_sessionmaker_will_do(kind: str, serve: Serve) -> None:
    """Each request has a session of a sessionmaker, and it is closed with the request."""
    async with serve() as site:
        url = str(site.sessions.kw["bind"].url)
        maker: Any = sessionmaker(create_engine(url.replace("+aiosqlite", ""))) if kind == "sync" else site.sessions
        others = Filestore(maker, settings=site.files.settings, registry=site.files.registry)
        site.app.include_router(others.router(Document), prefix="/others")
        created = await site.upload("/others/")
        read = await site.client.get(created.headers["location"] + "/file")
        if kind == "sync":
            maker.kw["bind"].dispose()

    assert (created.status_code, read.content) == (201, b"content")


def test_a_field_of_a_model_of_ones_own() -> None:
    """Where arbitrary types are allowed, a model of pydantic's may hold an upload, as before."""

    class Holder(BaseModel, arbitrary_types_allowed=True):
        upload: Upload | None = None
        file: FileObject | None = None

    assert Holder().upload is None
