"""One provider for the same service, whoever asks for it: who overrides it reaches the router, too."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from fastapi import FastAPI, HTTPException
from httpx import ASGITransport, AsyncClient
from sqlalchemy import ColumnElement, StaticPool, create_engine
from sqlalchemy.orm import Session

from fastapi_filestore import FileService, Filestore
from tests.web.models import Base, Document


@pytest.fixture
def files() -> Iterator[Filestore]:
    """A file store of sessions of a database in memory."""
    engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    Base.metadata.create_all(engine)

    def get_session() -> Iterator[Session]:
        with Session(engine) as session:
            yield session

    yield Filestore(get_session)
    engine.dispose()


def first_only() -> ColumnElement[bool]:
    """A scope."""
    return Document.id == 1


def second_only() -> ColumnElement[bool]:
    """Another one."""
    return Document.id == 2


class Owner:
    """What gives a default by a method, which is a new object each time that it is looked up."""

    def number(self) -> int:
        """Return the value."""
        return 1


class Owned(FileService[Document]):
    """A service of the application's own."""

    model = Document


class Refusing(FileService[Document]):
    """A service of a test that knows no rows."""

    async def get(self, identity: object, **options: object) -> Document:
        """Refuse."""
        raise HTTPException(451, "not for you")


async def refusing() -> AsyncIterator[FileService[Document]]:
    """Give that service."""
    with Session() as session:
        yield Refusing(session, model=Document)


OWNER = Owner()
ASKED: dict[str, dict[str, Any]] = {
    "nothing": {},
    "a scope": {"scope": first_only},
    "a default": {"defaults": {"title": OWNER.number}},
    "both": {"scope": first_only, "defaults": {"title": OWNER.number}},
}


@pytest.mark.parametrize("name", ASKED)
@pytest.mark.parametrize("is_first", [True, False])
async def test_an_override_reaches_the_router(files: Filestore, name: str, is_first: bool) -> None:
    """The router uses the provider of the same model, scope and defaults, made before it or after it."""
    app = FastAPI()
    if not is_first:
        app.include_router(files.router(Document, **ASKED[name]), prefix="/documents")
    get_document_service = files.service(Document, **ASKED[name])
    if is_first:
        app.include_router(files.router(Document, **ASKED[name]), prefix="/documents")
    async with AsyncClient(transport=ASGITransport(app=app), base_url="http://site") as client:
        statuses = [(await client.get("/documents/1")).status_code]
        app.dependency_overrides[get_document_service] = refusing
        statuses.append((await client.get("/documents/1")).status_code)

    assert statuses == [404, 451]


def test_others_are_others(files: Filestore) -> None:
    """Another scope, other defaults, another class or another file store is another provider."""
    asked = [*ASKED.values(), {"scope": second_only}, {"defaults": {"title": Owner().number}}]
    providers = [files.service(Document, **arguments) for arguments in asked]
    others = [files.service(Owned), Filestore(lambda: None).service(Document)]

    assert len({*providers, *others}) == len(asked) + 2
    assert providers == [files.service(Document, **arguments) for arguments in asked]
