"""The router in front of models of every kind: what was written is answered as it is read."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from fastapi import Depends, FastAPI
from httpx import ASGITransport, AsyncClient
from pydantic import AliasChoices, AliasPath, BaseModel, Field, model_validator
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, sessionmaker

from fastapi_filestore import ConfigurationError, FileService, Filestore, FilestoreSettings, StorageBackend
from tests.web.mapped import (
    PYDANTIC_NAMES,
    REPORTS,
    UNREADABLE,
    Base,
    Card,
    DataBase,
    Essay,
    EssayRead,
    Found,
    LargeScan,
    Lease,
    Letter,
    Map,
    Media,
    Memo,
    Note,
    Owner,
    Photo,
    Poster,
    ReportRead,
    Reserving,
    Scan,
    Tag,
)
from tests.web.site import session_dependency

pytestmark = pytest.mark.usefixtures("backend")
FILE = {"file": ("a.txt", b"content")}


def filestore(get_session: Any = None) -> Filestore:
    """Return a file store without settings of its own."""
    return Filestore(get_session, settings=FilestoreSettings(_env_file=None))


@asynccontextmanager
async def serving(
    path: Path,
    model: type[Any],
    *,
    prefix: str = "/rows",
    asynchronous: bool = True,
    session: Any = None,
    **router: Any,
) -> AsyncIterator[AsyncClient]:
    """Serve a model's rows from a database with two owners, the second of whom has a tag."""
    engine = create_engine(f"sqlite:///{path}/rows.db", connect_args={"check_same_thread": False})
    for base in (Base, DataBase):
        base.metadata.create_all(engine)
    with Session(engine) as making:
        making.add_all([Owner(id=1, name="one"), Owner(id=2, name="two"), Tag(id=1, owner_id=2, name="blue")])
        making.commit()
    async_engine = create_async_engine(f"sqlite+aiosqlite:///{path}/rows.db")
    options = session or {}
    make: Any = async_sessionmaker(async_engine, **options) if asynchronous else sessionmaker(engine, **options)
    files = filestore(session_dependency(make, asynchronous=asynchronous))
    app = FastAPI()
    app.include_router(files.router(model, **router), prefix=prefix)
    try:
        async with files.lifespan(app), AsyncClient(transport=ASGITransport(app=app), base_url="http://site") as client:
            yield client
    finally:
        await async_engine.dispose()
        engine.dispose()


KINDS = [
    (Photo, None, {"title": "t"}),
    (Scan, None, {"title": "t"}),
    (LargeScan, None, {"title": "t", "width": "7"}),
    (Map, None, {}),
    (Lease, None, {"title": "t"}),
    *((model, ReportRead, {"owner_id": "2"}) for model in REPORTS),
    (Essay, None, {"title": "t"}),
    (Essay, EssayRead, {"title": "t", "draft": "d"}),
    (Note, None, {"title": "t", "remark": "r"}),
    (Memo, None, {"title": "t"}),
    (Poster, None, {"title": "t"}),
    (Letter, None, {"title": "t", "shade": "red"}),
]


@pytest.mark.parametrize("asynchronous", [True, False])
@pytest.mark.parametrize(
    ("model", "read", "fields"), KINDS, ids=lambda value: value.__name__ if isinstance(value, type) else ""
)
async def test_a_row_is_answered_as_it_is_read(
    tmp_path: Path, model: type[Any], read: type[BaseModel] | None, fields: Mapping[str, str], *, asynchronous: bool
) -> None:
    """POST, GET, a listing, PATCH and PUT show the same row, whatever the model is made of."""
    async with serving(tmp_path, model, read=read, asynchronous=asynchronous) as client:
        created = await client.post("/rows/", files=FILE, data=fields)
        assert created.status_code == 201, created.text
        location = created.headers["location"]
        seen = [(await client.get(location)).json(), (await client.patch(location, json={})).json()]
        seen += (await client.get("/rows/")).json()["items"]
        replaced = await client.put(f"{location}/file", files={"file": ("b.txt", b"other")})

        assert seen == [created.json()] * 3
        assert (await client.get(location)).json() == replaced.json()
        assert (await client.get(f"{location}/file")).content == b"other"
        assert (await client.delete(location)).status_code == 204


@pytest.mark.parametrize("model", REPORTS)
async def test_a_relationship_that_leads_elsewhere(tmp_path: Path, model: type[Any]) -> None:
    """PATCH of a foreign key answers with what it leads to now."""
    async with serving(tmp_path, model, read=ReportRead) as client:
        location = (await client.post("/rows/", files=FILE, data={"owner_id": "1"})).headers["location"]
        changed = (await client.patch(location, json={"owner_id": 2})).json()

    assert (changed["owner"], changed["names"]) == ({"id": 2, "name": "two"}, ["blue"])


@pytest.mark.parametrize("name", ["id", "kind", "scan_id", "large_id"])
async def test_what_the_mapper_fills_in(tmp_path: Path, name: str) -> None:
    """No client sets the key or the discriminator of a joined subclass."""
    async with serving(tmp_path, LargeScan) as client:
        response = await client.post("/rows/", files=FILE, data={"title": "t", "width": "1", name: "9"})

    assert response.status_code == 422


async def test_defaults_of_a_dataclass(tmp_path: Path) -> None:
    """What a dataclass has a default for, a client may leave out or set."""
    async with serving(tmp_path, Note) as client:
        left_out, given = [
            (await client.post("/rows/", files=FILE, data={"title": "t", **fields})).json()
            for fields in ({}, {"state": "old", "rank": "5"})
        ]

    assert [(row["state"], row["rank"], row["remark"]) for row in (left_out, given)] == [
        ("new", 3, None),
        ("old", 5, None),
    ]


async def test_what_a_dataclass_makes_up(tmp_path: Path) -> None:
    """A key that a factory makes is nobody's to send."""
    async with serving(tmp_path, Memo) as client:
        response = await client.post("/rows/", files=FILE, data={"title": "t", "id": "mine"})

    assert response.status_code == 422


def test_a_constructor_that_needs_more() -> None:
    """A model whose constructor needs what no client sends is refused where its router is made."""
    files = filestore(lambda: None)
    with pytest.raises(ConfigurationError, match=r"Card\(\) needs 'note', which no client may set: give it a default"):
        files.router(Card)
    files.router(Card, defaults={"note": lambda: Note("t")})


@pytest.mark.parametrize(("model", "right"), [(Media, r"polymorphic_abstract.*\(Film\)"), (Found, "maps a query")])
def test_a_class_without_rows_of_its_own(model: type[Any], right: str) -> None:
    """No router is made for what nobody can add rows to."""
    with pytest.raises(ConfigurationError, match=right):
        filestore(lambda: None).router(model)


async def test_an_abstract_class_has_no_new_rows() -> None:
    """A service that is to make a row of a class without any says so, and which classes have some."""
    with pytest.raises(ConfigurationError, match=r"polymorphic_abstract.*\(Film\)"):
        await FileService(AsyncSession(), model=Media).create({})


class Made(BaseModel):
    """A field of which no row knows."""

    nosuch: str


class Given(BaseModel):
    """Fields that rows need not have."""

    id: int
    nosuch: str = "default"
    plain: str
    name: str = Field(validation_alias=AliasChoices("nosuch", "title"))
    path: str = Field(validation_alias=AliasPath("title", 0))


class FromRow(Made):
    """A schema that makes of a row what it likes."""

    @model_validator(mode="before")
    @classmethod
    def look(cls, row: Any) -> dict[str, str]:
        """Take something of the row."""
        return {"nosuch": row.title}


class Nested(BaseModel):
    """What is related to a report, with a field too many."""

    owner: Made


class Drafts(BaseModel):
    """A column that is never loaded by itself."""

    secret: str | None


@pytest.mark.parametrize(
    ("model", "read", "right"),
    [
        *(
            (model, ReportRead, rf"ReportRead.*{model.__name__}\..*lazy='{model.__name__[6:].lower()}'")
            for model in UNREADABLE
        ),
        (Photo, Made, "Made.nosuch: Photo has no attribute 'nosuch'"),
        (REPORTS[0], Nested, "Made.nosuch: Owner has no attribute 'nosuch'"),
        (Essay, Drafts, r"Drafts.secret shows Essay.secret.*raiseload=True"),
    ],
)
def test_a_schema_that_no_row_fits(model: type[Any], read: type[BaseModel], right: str) -> None:
    """What no row could be shown as is refused where the router is made, by the field and the attribute."""
    with pytest.raises(ConfigurationError, match=right):
        filestore(lambda: None).router(model, read=read)


@pytest.mark.parametrize(("model", "read"), [(Essay, Given), (Essay, FromRow), (Essay, EssayRead)])
def test_a_schema_that_rows_fit(model: type[Any], read: type[BaseModel]) -> None:
    """Defaults, aliases, class attributes and validators of the whole are what a row may be shown by."""
    filestore(lambda: None).router(model, read=read)


@pytest.mark.parametrize("name", ["create", "update"])
def test_fields_that_no_row_has(name: str) -> None:
    """A field that the model has no attribute for is refused, unless it is left out of what is written."""

    class Agreed(BaseModel):
        title: str
        agreed: bool = Field(exclude=True)

    wrong, right = dict[str, Any]({name: Made}), dict[str, Any]({name: Agreed})
    with pytest.raises(ConfigurationError, match=r"Made\.nosuch: Photo has no attribute 'nosuch'"):
        filestore(lambda: None).router(Photo, **wrong)
    filestore(lambda: None).router(Photo, **right)


class Strict(BaseModel):
    """A title that rows may not have."""

    title: Literal["other"]


async def test_a_row_that_its_schema_does_not_fit(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The log names the schema, the model, the field and why; the client hears of an application's mistake."""
    async with serving(tmp_path, Photo, read=Strict) as client:
        created = await client.post("/rows/", files=FILE, data={"title": "t"})

    assert (created.status_code, created.json()["type"]) == (500, "urn:fastapi-filestore:configuration-error")
    assert "Strict can't show a row of Photo: title: Input should be 'other'" in caplog.text


async def test_a_relationship_that_is_forbidden_further_in(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What only a request finds out is told with the schema and the model, and how to mend it."""

    class Show(BaseModel):
        names: list[str]

    async with serving(tmp_path, UNREADABLE[0], read=Show) as client:
        created = await client.post("/rows/", files=FILE, data={"owner_id": "2"})

    assert created.json()["type"] == "urn:fastapi-filestore:configuration-error"
    assert (
        "Show can't show a row of ReportRaise: 'ReportRaise.tags' is not available due to lazy='raise'" in caplog.text
    )


async def test_columns_called_like_attributes_of_pydantic(tmp_path: Path) -> None:
    """Clients use the names of columns, whatever pydantic takes them for, and each has its own value."""
    names = [name for name in PYDANTIC_NAMES if name not in {"copy", "json"}]
    async with serving(tmp_path, Reserving, unknown_fields="refuse") as client:
        given = {name: f"of {name}" for name in names}
        created = await client.post("/rows/", files={"copy": b"content"}, data={**given, "json_": "other"})
        changed = await client.patch("/rows/1", json={"json": "new", "model_dump": "d"})
        wrong = await client.patch("/rows/1", json={"model_extra": 7})
        listed = (await client.get("/rows/")).json()["items"]
        paths = (await client.get("/openapi.json")).json()["paths"]

    row = {name: value for name, value in created.json().items() if name not in {"id", "copy"}}
    assert row == {**given, "json": None, "json_": "other"}
    assert listed == [changed.json()] == [{**created.json(), "json": "new", "model_dump": "d"}]
    assert wrong.json()["errors"][0]["loc"] == ["model_extra"]
    form = paths["/rows/"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert set(form["properties"]) == {*PYDANTIC_NAMES, "json_"}


@pytest.mark.parametrize("asynchronous", [True, False])
async def test_sessions_that_begin_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, *, asynchronous: bool
) -> None:
    """Sessions with `autobegin=False` work, and hold no connection while a client sends."""
    async with serving(tmp_path, Photo, session={"autobegin": False}, asynchronous=asynchronous) as client:
        location = (await client.post("/rows/", files=FILE, data={"title": "t"})).headers["location"]
        answers = [
            await client.get(location),
            await client.patch(location, json={"title": "u"}),
            await client.put(f"{location}/file", files=FILE),
            await client.delete(location),
        ]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 204]
    assert "session_held" not in caplog.text


NAMES = ["filename", "content_type", "limit", "after", "request", "response", "service", "session", "scope", "token"]


@pytest.mark.parametrize("name", NAMES)
async def test_a_prefix_with_a_parameter_like_the_routers_own(tmp_path: Path, name: str) -> None:
    """A prefix may call its parameters as the router calls its own, which keep their meaning."""
    async with serving(tmp_path, Photo, prefix=f"/of/{{{name}}}", upload_url=True) as client:
        first, _ = [await client.post("/of/x/", files=FILE, data={"title": "t"}) for _ in range(2)]
        page = (await client.get("/of/x/", params={"limit": 1})).json()
        rest = (await client.get("/of/x/", params={"after": page["next_cursor"]})).json()
        signed = await client.post("/of/x/upload-url", params={"content_type": "text/plain"})

    assert first.headers["location"] == "/of/x/1"
    assert [len(each["items"]) for each in (page, rest)] == [1, 1]
    assert [each["loc"] for each in signed.json()["errors"]] == [["query", "filename"]]


async def test_a_key_of_another_name(tmp_path: Path) -> None:
    """Below a prefix with an `{identity}` of its own, the router's key is called as it is told."""
    async with serving(tmp_path, Photo, prefix="/of/{identity}", identity="photo_id") as client:
        await client.post("/of/7/", files=FILE, data={"title": "t"})
        answers = [await client.get("/of/7/1"), await client.get("/of/7/1/file"), await client.get("/of/1/7")]
        paths = (await client.get("/openapi.json")).json()["paths"]

    assert [answer.status_code for answer in answers] == [200, 200, 404]
    assert "/of/{identity}/{photo_id}/file" in paths


async def test_two_keys_of_one_name(tmp_path: Path) -> None:
    """A prefix with an `{identity}` stops the start, which says how to call the router's own."""
    with pytest.raises(ConfigurationError, match=r"name identity at path .*: call .* identity='document_id'"):
        async with serving(tmp_path, Photo, prefix="/of/{identity}"):
            pass


@pytest.mark.parametrize("is_mounted", [True, False])
async def test_a_prefix_that_takes_slashes(*, is_mounted: bool) -> None:
    """Below `{folder:path}` nobody could tell a row from its file: that stops the start, and says so."""
    files, app, inner = filestore(lambda: None), FastAPI(), FastAPI()
    inner.include_router(files.router(Photo), prefix="/of/{folder:path}")
    app.mount("/inner", inner)
    with pytest.raises(ConfigurationError, match=r"/of/\{folder:path\}.*\{folder\} takes slashes .* without :path"):
        async with files.lifespan(app if is_mounted else inner):
            pass


async def test_a_prefix_that_takes_no_slashes(tmp_path: Path) -> None:
    """Parameters of a type are no such thing."""
    async with serving(tmp_path, Photo, prefix="/of/{year:int}/{place:uuid}") as client:
        created = await client.post(f"/of/7/{UUID(int=1)}/", files=FILE, data={"title": "t"})
        file = await client.get(created.json()["file"]["url"])

    assert (created.status_code, file.content) == (201, b"content")


def test_a_key_that_is_no_name() -> None:
    """What can't stand in a path is refused where the router is made."""
    with pytest.raises(ConfigurationError, match="document_id"):
        filestore(lambda: None).router(Photo, identity="a-b")


class PhotoService(FileService[Photo]):
    """A service that knows its model."""


class OwnService(FileService[Photo]):
    """A service that FastAPI would fill from the query."""

    def __init__(self, session, **options: Any) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001 - as people do
        """Take a session of any type."""
        super().__init__(session, **options)


BARE = [
    Annotated[FileService[Photo], Depends()],
    Annotated[FileService[Any], Depends(FileService)],
    Annotated[PhotoService, Depends()],
    Annotated[OwnService, Depends()],
]


@pytest.mark.parametrize("parameter", BARE)
async def test_a_service_without_a_session(parameter: Any) -> None:
    """`Depends()` on a service's class stops the definition of its route, or the start, and says what to write."""
    with pytest.raises(ConfigurationError, match=r"write Annotated.* Depends\(files.service\(Document\)\)\]"):
        await started_with(parameter)


async def started_with(parameter: Any) -> None:
    """Start an application with a route that has a parameter."""
    app = FastAPI()

    @app.get("/")
    async def show(service: parameter) -> None:
        """Show nothing."""

    async with filestore(lambda: None).lifespan(app):
        pass


async def test_what_is_read_by_hand(tmp_path: Path, backend: StorageBackend) -> None:
    """`loading` reads a relationship that was not loaded, of any session."""
    model = REPORTS[4]
    async with serving(tmp_path, model) as client:
        await client.post("/rows/", files=FILE, data={"owner_id": "2"})
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/rows.db")
    async with async_sessionmaker(engine)() as session:
        service = FileService(session, model=model)
        report = await service.get(1)
        name = await service.loading(lambda: report.owner.name)
    await engine.dispose()

    assert name == "two"
