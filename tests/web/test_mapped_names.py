"""Names of columns, prefixes and keys that are like names of pydantic or of the router."""

from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import pytest
from fastapi import Depends, FastAPI
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from fastapi_filestore import ConfigurationError, FileService, StorageBackend
from tests.web.mapped import (
    PYDANTIC_NAMES,
    REPORTS,
    Photo,
    Reserving,
)
from tests.web.serving_mapped import FILE, filestore, serving

pytestmark = pytest.mark.usefixtures("backend")


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
    async with serving(tmp_path, Photo, prefix=f"/of/{{{name}}}") as client:
        first, _ = [await client.post("/of/x/", files=FILE, data={"title": "t"}) for _ in range(2)]
        page = (await client.get("/of/x/", params={"limit": 1})).json()
        rest = (await client.get("/of/x/", params={"after": page["next_cursor"]})).json()

    assert first.headers["location"] == "/of/x/1"
    assert [len(each["items"]) for each in (page, rest)] == [1, 1]


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
