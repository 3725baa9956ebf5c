"""The router of models with several file columns, and with lists."""

import asyncio
import io
import zipfile
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, create_model

from fastapi_filestore import ConfigurationError, FileObject, FileService, Filestore
from fastapi_filestore.file_object.identity import ID_LENGTH, id_of
from fastapi_filestore.testing import assert_no_orphans
from tests.web.conftest import Serve
from tests.web.several import Entry, Pile, several
from tests.web.site import Site, problem_in

COVER = ("cover", ("c.txt", b"cover"))


def page(name: str) -> tuple[str, tuple[str, bytes]]:
    """Return the part of a form with a page that holds its own name."""
    return "pages", (name, name.encode())


@pytest.fixture
async def place(serve: Serve) -> AsyncIterator[Site]:
    """Both routers; at the end rows and objects agree."""
    async with serve(build=several) as site:
        yield site
        async with site.session() as session:
            await assert_no_orphans(session, site.backend, Entry, Pile)


async def entry(site: Site, *names: str) -> Any:
    """Create an entry with pages of these names."""
    response = await site.client.post("/entries/", data={"title": "t"}, files=[*map(page, names), COVER])
    assert response.status_code == 201, response.text
    return response.json()


async def names(site: Site) -> list[str]:
    """Return the names of the first entry's pages."""
    return [file["filename"] for file in (await site.client.get("/entries/1/pages")).json()]


async def test_one_form_brings_the_files_of_all_columns(place: Site) -> None:
    """They may come in any order; each has its URL, and those of a list an id."""
    row = await entry(place, "1", "2")
    files = [row["cover"], *row["pages"]]
    contents = [(await place.client.get(file["url"])).content for file in files]

    assert contents == [b"cover", b"1", b"2"]
    assert [file["url"] for file in row["pages"]] == [f"/entries/1/pages/{file['id']}" for file in row["pages"]]
    assert row["pages"] == (await place.client.get("/entries/1/pages")).json()
    assert (row["back"], "id" in row["cover"]) == (None, False)
    assert (await place.client.get("/entries/1/cover")).content == b"cover"


@pytest.mark.parametrize(
    ("files", "status", "name", "word"),
    [
        ([page("1")], 422, "missing-file", "'cover'"),
        ([COVER, ("page", ("x", b"x"))], 422, "missing-file", "'cover' or 'back' or 'pages'"),
        ([COVER, COVER], 422, "too-many-files", "'cover'"),
        ([COVER, *map(page, "1234")], 422, "too-many-files", "'pages'"),
        ([page("1"), ("cover", ("c", bytes(101)))], 413, "upload-too-large", "100 bytes"),
        ([COVER, page("1"), ("back", (None, "text"))], 422, "missing-file", "'back'"),
        ([COVER, page("1"), ("id", (None, "a"))], 422, "invalid-fields", "id"),
    ],
)
async def test_a_form_that_is_refused_leaves_nothing(
    place: Site, files: list[Any], status: int, name: str, word: str
) -> None:
    """The problem names the field, and what was stored of the form before is gone."""
    response = await place.client.post("/entries/", data={"title": "t"}, files=files)

    assert word in problem_in(response, status, name)["detail"]
    assert await place.keys() == set()


async def test_json_makes_a_row_where_no_file_is_needed(place: Site) -> None:
    """A required file is asked for by name."""
    made = await place.client.post("/piles/", json={"title": "t"})
    refused = await place.client.post("/entries/", json={"title": "t"})

    assert (made.status_code, made.json()) == (201, {"id": 1, "title": "t", "sheets": []})
    assert problem_in(refused, 422, "missing-file")["field"] == "cover"
    assert (await place.client.get("/piles/1/file")).status_code == 404


async def test_a_form_without_a_file_makes_a_row(site: Site) -> None:
    """So does JSON, where the one file column may be empty; an input that was left empty is no file."""
    form = await site.client.post("/documents/", data={"title": "a"}, files={"file": ("", b"")})
    json = await site.client.post("/documents/", json={"title": "b"})
    await site.client.put("/documents/1/file", files={"file": ("a", b"a")})
    cleared = await site.client.delete("/documents/1/file")

    assert (form.status_code, json.status_code, cleared.status_code) == (201, 201, 204)
    assert (form.json()["file"], json.json()["file"]) == (None, None)
    assert await site.keys() == set()


async def test_files_of_a_list_come_go_and_change(place: Site) -> None:
    """By id: append, replace in place, delete; the row shows the list as it is then."""
    first, second = (await entry(place, "1", "2"))["pages"]
    appended = await place.client.post("/entries/1/pages", files=[page("3")])
    await place.client.put(first["url"], files=[page("new")])
    gone = await place.client.put(first["url"], files=[page("late")])
    await place.client.delete(second["url"])

    assert appended.status_code == 201
    assert (await place.client.get(appended.headers["location"])).content == b"3"
    assert await names(place) == ["new", "3"]
    problem_in(gone, 404, "file-not-set")
    problem_in(await place.client.delete(second["url"]), 404, "file-not-set")
    problem_in(await place.client.post("/entries/1/pages", files=list(map(page, "45"))), 422, "too-many-files")


async def test_a_position_is_for_reading(place: Site) -> None:
    """GET and HEAD answer it; what would write says that it takes the id."""
    await entry(place, "1", "2")

    assert (await place.client.get("/entries/1/pages/1")).content == b"2"
    assert (await place.client.head("/entries/1/pages/0")).headers["content-length"] == "1"
    problem_in(await place.client.get("/entries/1/pages/2"), 404, "file-not-set")
    for method in ("PUT", "DELETE"):
        refused = await place.client.request(method, "/entries/1/pages/0")
        assert "use its id" in problem_in(refused, 405, "method-not-allowed")["detail"]
    assert await names(place) == ["1", "2"]


async def test_an_order_is_all_ids_once(place: Site) -> None:
    """Any other list of ids is refused and changes nothing."""
    ids = [file["id"] for file in (await entry(place, "1", "2", "3"))["pages"]]
    wrong = [ids[:2], [*ids, ids[0]], [ids[0], ids[0], ids[1]], [*ids[:2], "A" * 22], ["0"], None]
    for order in wrong:
        problem_in(await place.client.patch("/entries/1", json={"pages": order, "title": "no"}), 422, "invalid-fields")
    done = await place.client.patch("/entries/1", json={"pages": ids[::-1], "title": "new"})

    assert (done.status_code, done.json()["title"]) == (200, "new")
    assert await names(place) == ["3", "2", "1"]


async def test_conditions_are_of_the_one_file(place: Site) -> None:
    """ETag, If-Match and If-None-Match of a file in a list are as those of a single file."""
    (file,) = (await entry(place, "1"))["pages"]
    tag = (await place.client.get(file["url"])).headers["etag"]
    same = await place.client.get(file["url"], headers={"If-None-Match": tag})
    other = {"If-Match": '"other"'}

    assert same.status_code == 304
    problem_in(await place.client.delete(file["url"], headers=other), 412, "precondition-failed")
    problem_in(await place.client.put(file["url"], headers=other, files=[page("2")]), 412, "precondition-failed")
    assert (await place.client.put(file["url"], headers={"If-Match": tag}, files=[page("2")])).status_code == 200
    assert await names(place) == ["2"]


async def test_an_optional_file_is_cleared_and_a_required_one_is_not(place: Site) -> None:
    """DELETE sets NULL; of a column that can't be it says what to do instead."""
    await entry(place)
    put = await place.client.put("/entries/1/back", files={"back": ("b", b"back")})
    cleared = await place.client.delete("/entries/1/back")

    assert (put.json()["back"]["url"], cleared.status_code) == ("/entries/1/back", 204)
    problem_in(await place.client.delete("/entries/1/back"), 404, "file-not-set")
    assert "PUT" in problem_in(await place.client.delete("/entries/1/cover"), 422, "invalid-fields")["detail"]


async def test_appends_at_once_lose_nothing(place: Site) -> None:
    """Each of many requests finds its file in the list."""
    await place.client.post("/piles/", json={"title": "t"})
    added = [place.client.post("/piles/1/sheets", files={"sheets": (f"{n}", b"s")}) for n in range(8)]

    assert {response.status_code for response in await asyncio.gather(*added)} == {201}
    found = (await place.client.get("/piles/1/sheets")).json()
    assert {file["filename"] for file in found} == {str(n) for n in range(8)}


async def test_a_list_is_one_archive(place: Site) -> None:
    """An empty one, too."""
    await entry(place, "1", "2")
    archive = await place.client.get("/entries/1/pages.zip")
    await entry(place)
    empty = await place.client.get("/entries/2/pages.zip")

    assert "pages.zip" in archive.headers["content-disposition"]
    assert zipfile.ZipFile(io.BytesIO(archive.content)).namelist() == ["1", "2"]
    assert zipfile.ZipFile(io.BytesIO(empty.content)).namelist() == []


@given(st.lists(st.tuples(st.text(), st.text(min_size=1)), min_size=2, max_size=2, unique=True))
def test_ids_of_two_objects_differ(pair: list[tuple[str, str]]) -> None:
    """Where the backend's key ends is a part of what is hashed."""
    ids = {id_of(backend, path) for backend, path in pair}

    assert len(ids) == 2
    assert {len(name) for name in ids} == {ID_LENGTH}
    assert id_of("a", "bc") != id_of("ab", "c")


class Short(BaseModel):
    """An entry that shows two of its columns."""

    id: int
    cover: FileObject
    pages: list[FileObject]


class Covered(BaseModel):
    """An entry that shows its cover alone."""

    id: int
    cover: FileObject


async def test_what_no_answer_shows_nobody_fetches(serve: Serve) -> None:
    """A column that `read=` leaves out has no path, neither to read nor to write."""

    def build(app: FastAPI, files: Filestore) -> None:
        app.include_router(files.router(Entry, read=Short), prefix="/entries")

    async with serve(build=build) as site:
        row = await entry(site, "1")
        paths = site.app.openapi()["paths"]

        assert set(row) == {"id", "cover", "pages"}
        assert (await site.client.get("/entries/1/back")).status_code == 404
        assert (await site.client.put("/entries/1/back", files={"back": ("b", b"b")})).status_code == 404
        assert [path for path in paths if "back" in path] == []


async def test_a_list_that_nobody_sees_is_not_emptied(serve: Serve) -> None:
    """PATCH of a list that `read=` leaves out is refused, and rows are made with it empty."""

    def build(app: FastAPI, files: Filestore) -> None:
        app.include_router(files.router(Pile), prefix="/piles")
        app.include_router(files.router(Entry, read=Covered), prefix="/covered")
        app.include_router(files.router(Entry), prefix="/entries")

    async with serve(build=build) as site:
        made = await site.client.post("/covered/", data={"title": "t"}, files=[COVER])
        await site.client.post("/entries/1/pages", files=[page("1")])
        ids = [file["id"] for file in (await site.client.get("/entries/1/pages")).json()]
        orders: list[Any] = [[], ids, ids * 2, None]
        for order in orders:
            problem_in(await site.client.patch("/covered/1", json={"pages": order}), 422, "invalid-fields")

        assert made.status_code == 201
        assert await names(site) == ["1"]
        assert "pages" not in str(site.app.openapi()["paths"]["/covered/{identity}"]["patch"]["requestBody"])


async def test_an_order_is_read_once(place: Site) -> None:
    """An iterator of the ids is an order, too, and what is no list of ids is refused."""
    ids = [file["id"] for file in (await entry(place, "1", "2", "3"))["pages"]]
    async with place.session() as session:
        service = FileService(session, model=Entry)
        await service.reorder(1, reversed(ids), field="pages")
        await service.commit()

    assert await names(place) == ["3", "2", "1"]
    orders: list[Any] = [5, [1], [[]], {"a": 1}, "abc"]
    for order in orders:
        problem_in(await place.client.patch("/entries/1", json={"pages": order}), 422, "invalid-fields")


async def test_a_column_that_clients_only_read(serve: Serve) -> None:
    """What `read_only=` names is served with its URL, and no client writes or clears it."""

    def build(app: FastAPI, files: Filestore) -> None:
        app.include_router(files.router(Entry, read_only=["back", "pages"]), prefix="/entries")

    async with serve(build=build) as site:
        assert (await site.client.post("/entries/", data={"title": "t"}, files=[COVER])).status_code == 201
        refused = await site.client.post("/entries/", data={"title": "t"}, files=[COVER, ("back", ("b", b"b"))])
        async with site.session() as session:
            row = await session.get_one(Entry, 1)
            row.back, row.pages = FileObject(filename="b", content=b"back"), [FileObject(filename="1", content=b"1")]
            await session.commit()
        shown = (await site.client.get("/entries/1")).json()

        assert refused.status_code == 422
        assert (await site.client.get(shown["back"]["url"])).content == b"back"
        assert (await site.client.get(shown["pages"][0]["url"])).content == b"1"
        for method, path in [
            ("PUT", "back"),
            ("DELETE", "back"),
            ("POST", "pages"),
            ("DELETE", "pages/" + shown["pages"][0]["id"]),
        ]:
            assert (await site.client.request(method, f"/entries/1/{path}", content=b"x")).status_code == 405
        problem_in(await site.client.patch("/entries/1", json={"pages": []}), 422, "invalid-fields")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"field": "cover", "read_only": ["cover"]}, "is the file that clients send"),
        ({"read_only": ["nothing"]}, "no column of files that Entry shows"),
        (
            {"create": create_model("Made", title=(str, ...), cover=(FileObject, ...))},
            "Made.cover is a column of files",
        ),
    ],
)
def test_what_no_client_could_send(options: dict[str, Any], said: str) -> None:
    """A router without the file that clients send, or with files among the values, is refused when it is made."""
    with pytest.raises(ConfigurationError, match=said):
        Filestore(lambda: None).router(Entry, **options)
