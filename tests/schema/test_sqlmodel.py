"""With SQLModel a file is a field like any other, for rows, for responses, and never for requests."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from fastapi import FastAPI, UploadFile
from httpx import ASGITransport, AsyncClient
from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel import Column, Field, MetaData, Session, SQLModel, create_engine
from sqlmodel.ext.asyncio.session import AsyncSession

from fastapi_filestore import FileObject, FileService, ObstoreBackend, StoredObject, add_ledger, storages
from fastapi_filestore.concurrency.blocking import run_blocking
from fastapi_filestore.orm.ledger.reservations import release_reservations

pytestmark = pytest.mark.works_with("SQLModel")


class Base(SQLModel):
    """What the tables of this file share, apart from those of other tests."""

    metadata = MetaData()


class LetterBase(Base):
    """The fields of a letter that clients may send."""

    title: str


class Letter(LetterBase, table=True):
    """A row with a file in either spelling, and a list of files."""

    id: int | None = Field(default=None, primary_key=True)
    file: FileObject | None = Field(default=None, sa_type=StoredObject("letters"))
    stamp: FileObject | None = Field(default=None, sa_column=Column(StoredObject("letters")))
    pages: list[FileObject] = Field(default_factory=list, sa_type=StoredObject("letters", multiple=True))


class LetterRead(LetterBase):
    """What clients are shown of a letter."""

    id: int
    file: FileObject | None
    pages: list[FileObject]


class LetterCreate(LetterBase):
    """A careless request: it has a field for a file."""

    file: FileObject | None = None


add_ledger(Base.metadata)


@pytest.fixture
def backend() -> Iterator[ObstoreBackend]:
    """Register the backend of the columns."""
    backend = ObstoreBackend(key="letters", fs="memory://")
    storages.register_backend(backend)
    yield backend
    storages.unregister_backend("letters")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """Give each test a fresh database."""
    engine = create_engine(f"sqlite:///{tmp_path}/letters.db", connect_args={"check_same_thread": False})
    Base.metadata.create_all(engine)
    yield engine
    run_blocking(release_reservations())
    engine.dispose()


@pytest.fixture
def app(engine: Engine) -> FastAPI:
    """An application whose routes speak SQLModel."""
    app = FastAPI()

    @app.get("/letters/{identity}", response_model=LetterRead)
    def read(identity: int) -> Letter | None:
        with Session(engine) as session:
            return session.get(Letter, identity)

    @app.post("/letters")
    def create(letter: LetterCreate) -> str:
        return repr(letter.file)

    @app.post("/rows")
    def create_row(letter: Letter) -> str:
        return repr(letter.file)

    return app


def letter(content: bytes = b"content") -> FileObject:
    """Return a file whose bytes are still to be stored."""
    return FileObject(filename="a.txt", content=content)


async def contents(backend: ObstoreBackend) -> set[bytes]:
    """Return the bytes of all objects."""
    return {await (await backend.open(info.path)).read() async for info in backend.list()}


async def test_rows_in_a_session(engine: Engine, backend: ObstoreBackend) -> None:
    """Files are stored, replaced, appended and deleted with their rows."""
    with Session(engine) as session:
        row = Letter(title="t", file=letter(b"old"), stamp=letter(b"stamp"), pages=[letter(b"1")])
        session.add(row)
        session.commit()
        row.file = letter(b"new")
        row.pages.append(letter(b"2"))
        session.commit()

        assert await contents(backend) == {b"new", b"stamp", b"1", b"2"}
        session.delete(row)
        session.commit()
    assert await contents(backend) == set()


async def test_what_is_assigned_is_what_the_column_holds(engine: Engine, backend: ObstoreBackend) -> None:
    """A list that was assigned is watched from its flush on, and an upload becomes a file."""
    with Session(engine, expire_on_commit=False) as session:
        row = Letter(title="t")
        session.add(row)
        row.pages = [letter(b"1")]
        row.file = UploadFile(BytesIO(b"upload"), filename="a.txt")  # type: ignore[assignment]
        session.commit()
        row.pages.append(letter(b"2"))
        session.commit()

    assert await contents(backend) == {b"1", b"2", b"upload"}


async def test_rows_in_a_service(tmp_path: Path, engine: Engine, backend: ObstoreBackend) -> None:
    """The service creates, replaces and deletes rows of a table model in SQLModel's asynchronous session."""
    asynchronous = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/letters.db")
    async with AsyncSession(asynchronous, expire_on_commit=False) as session:
        service = FileService(session, model=Letter)
        row = await service.create({"title": "t", "file": letter(b"old")})
        await service.commit()
        await service.replace(row.id, letter(b"new"), field="file")
        await service.commit()

        assert await contents(backend) == {b"new"}
        await service.delete(row.id)
        await service.commit()
    await release_reservations()
    await asynchronous.dispose()
    assert await contents(backend) == set()


async def test_a_response(app: FastAPI, engine: Engine, backend: ObstoreBackend) -> None:
    """A response shows what a file is, and not where it lies."""
    with Session(engine) as session:
        session.add(Letter(id=1, title="t", file=letter(), pages=[letter()]))
        session.commit()
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        shown = (await client.get("/letters/1")).json()

    assert (shown["file"]["filename"], shown["file"]["size"], len(shown["pages"])) == ("a.txt", 7, 1)
    assert not {"backend", "path"} & shown["file"].keys()


@pytest.mark.parametrize(("path", "refusal"), [("/letters", 422), ("/rows", 500)])
async def test_a_request_never_names_a_stored_object(app: FastAPI, path: str, refusal: int) -> None:
    """A field for a file refuses whatever a client sends; a table model, which SQLModel never validates, breaks."""
    named = {"backend": "letters", "path": "secret", "filename": "a.txt", "content_type": "text/plain"}
    transport = ASGITransport(app, raise_app_exceptions=False)
    async with AsyncClient(transport=transport, base_url="http://test") as client:
        refused = await client.post(path, json={"title": "t", "file": named})
        taken = await client.post(path, json={"title": "t"})

    assert refused.status_code == refusal
    assert (taken.status_code, taken.json()) == (200, "None")
