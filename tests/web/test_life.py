"""The prebuilt router, from the upload to the deletion."""

from hashlib import sha256
from typing import Any
from uuid import UUID

import pytest
from fastapi import APIRouter, FastAPI
from httpx import ASGITransport, AsyncClient
from sqlalchemy import update

from fastapi_filestore import FileObject, Filestore
from tests.web.conftest import Serve
from tests.web.models import Album, Article, Document, Kind, Ticket
from tests.web.site import Build, Site, problem_in


async def test_an_upload_creates_a_row(site: Site) -> None:
    """201 with the row, its file without backend and path, and a Location that reads it."""
    response = await site.upload(title="First", content=b"hello", filename="ä b.txt")
    read = await site.client.get(response.headers["location"])

    assert response.status_code == 201
    assert response.json() == read.json()
    assert response.json()["file"] == {
        "filename": "ä b.txt",
        "content_type": "text/plain",
        "size": 5,
        "checksum": sha256(b"hello").hexdigest(),
        "last_modified": response.json()["file"]["last_modified"],
        "metadata": {},
        "url": "/documents/1/file",
    }


async def test_fields_become_columns(site: Site) -> None:
    """Form fields are read as the columns' types; what is left out has the column's default."""
    full = await site.upload(title="full", kind="invoice", pages="3", signed="true", day="2026-11-22")
    bare = await site.upload(title="bare")

    names = ("kind", "pages", "signed", "day")
    assert [full.json()[name] for name in names] == ["invoice", 3, True, "2026-11-22"]
    assert [bare.json()[name] for name in names] == ["letter", None, False, None]
    assert bare.json()["created_at"]
    assert len(bare.json()["token"]) == 32


async def test_a_response_has_the_public_columns_only(site: Site) -> None:
    """Deferred columns and those with an underscore are not shown."""
    response = await site.upload()

    assert set(response.json()) == {
        "id", "title", "kind", "pages", "signed", "day", "token", "created_at", "changed_at", "file",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["id", "token", "created_at", "changed_at", "file", "_internal"])
async def test_a_client_sets_no_column_of_the_application(site: Site, name: str) -> None:
    """What the application or the database fills in is refused, in a form and in JSON."""
    created = await site.client.post("/documents/", files={"file": ("a.txt", b"a")}, data={"title": "t", name: "1"})
    problem_in(created, 422, "invalid-fields")
    await site.check_empty()
    location = (await site.upload()).headers["location"]
    changed = await site.client.patch(location, json={name: "1"})

    assert problem_in(changed, 422, "invalid-fields")["errors"][0]["loc"] == [name]


async def test_get_downloads_and_head_says_the_same(site: Site) -> None:
    """GET streams the bytes; HEAD has the same headers and none of them."""
    content = bytes(range(256)) * 1000
    url = (await site.upload(content=content)).json()["file"]["url"]
    got, head = await site.client.get(url), await site.client.head(url)

    assert (got.status_code, got.content) == (200, content)
    assert (head.status_code, head.content) == (200, b"")
    assert got.headers == head.headers
    assert got.headers["content-length"] == str(len(content))
    assert got.headers["etag"] == f'"{sha256(content).hexdigest()}"'
    assert got.headers["x-content-type-options"] == "nosniff"
    assert got.headers["content-security-policy"] == "sandbox; default-src 'none'"


async def test_replacing_keeps_the_row_and_drops_the_old_bytes(site: Site) -> None:
    """PUT stores another file in the row, and only that one is left."""
    created = (await site.upload(content=b"old")).json()
    response = await site.client.put(created["file"]["url"], files={"file": ("b.bin", b"newer")})
    content = await site.client.get(created["file"]["url"])

    assert (response.status_code, response.json()["id"]) == (200, created["id"])
    assert (response.json()["file"]["filename"], response.json()["file"]["url"]) == ("b.bin", created["file"]["url"])
    assert content.content == b"newer"
    assert len(await site.keys()) == 1


async def test_patching_changes_what_is_sent(site: Site) -> None:
    """PATCH sets the fields in the body, leaves the others, and shows what the database filled in."""
    created = (await site.upload(pages="3")).json()
    response = await site.client.patch("/documents/1", json={"title": "new", "kind": "invoice"})

    assert response.status_code == 200
    assert response.json() | {"changed_at": None} == created | {"title": "new", "kind": "invoice"}
    assert response.json()["changed_at"]


async def test_deleting_takes_row_and_bytes(site: Site) -> None:
    """DELETE answers 204 and leaves nothing."""
    await site.upload()
    response = await site.client.delete("/documents/1")

    assert (response.status_code, response.content) == (204, b"")
    await site.check_empty()
    problem_in(await site.client.get("/documents/1"), 404, "row-not-found")


async def test_a_row_without_a_file_is_shown(site: Site) -> None:
    """An empty file column is null, its download a 404 of its own, and a PUT fills it."""
    async with site.session() as session:
        session.add(Document(title="bare"))
        await session.commit()
    read, download = await site.client.get("/documents/1"), await site.client.get("/documents/1/file")

    assert read.json()["file"] is None
    problem_in(download, 404, "file-not-set")
    assert (await site.client.put("/documents/1/file", files={"file": ("a", b"a")})).status_code == 200


# -- where it is mounted -------------------------------------------------------------------------------


def at(*prefixes: str) -> Build:
    """Mount the documents' router once for each prefix."""

    def build(app: FastAPI, files: Filestore) -> None:
        for prefix in prefixes:
            app.include_router(files.router(Document), prefix=prefix)

    return build


def nested(app: FastAPI, files: Filestore) -> None:
    """Mount the documents in a router in a router with a parameter in its prefix."""
    outer = APIRouter(prefix="/users/{user}")
    outer.include_router(files.router(Document), prefix="/documents")
    app.include_router(outer, prefix="/v1")


def below(app: FastAPI, files: Filestore) -> None:
    """Mount the documents in an application of its own below another one."""
    inner = FastAPI()
    inner.include_router(files.router(Document), prefix="/documents")
    app.mount("/sub app", inner)


@pytest.mark.parametrize(
    ("build", "base"),
    [
        (at("/documents"), "/documents"),
        (at(""), ""),
        (at("/a", "/b"), "/b"),
        (at("/deep/er/döcs"), "/deep/er/d%C3%B6cs"),
        (nested, "/v1/users/j%C3%B6rg%20b/documents"),
        (below, "/sub%20app/documents"),
    ],
)
async def test_links_work_wherever_it_is_mounted(serve: Serve, build: Build, base: str) -> None:
    """Location and file URL are below the prefix, and the same in every response."""
    async with serve(build=build) as site:
        created = await site.upload(f"{base}/")
        location, url = f"{base}/1", f"{base}/1/file"
        shown = [
            created.json(),
            (await site.client.get(location)).json(),
            (await site.client.get(f"{base}/")).json()["items"][0],
            (await site.client.patch(location, json={})).json(),
            (await site.client.put(url, files={"file": ("a.txt", b"content")})).json(),
        ]

        assert created.headers["location"] == location
        assert {row["file"]["url"] for row in shown} == {url}
        assert (await site.client.get(url)).content == b"content"


@pytest.mark.parametrize("sent", ["/proxied/documents/", "/documents/"])
async def test_links_have_the_root_path(site: Site, sent: str) -> None:
    """Behind a proxy, links are the client's, whether or not the proxy strips its prefix."""
    transport = ASGITransport(app=site.app, root_path="/proxied")
    async with AsyncClient(transport=transport, base_url="http://site") as client:
        created = await client.post(sent, files={"file": ("a", b"a")}, data={"title": "t"})

        assert created.headers["location"] == "/proxied/documents/1"
        assert created.json()["file"]["url"] == "/proxied/documents/1/file"
        assert (await client.get(f"{sent}1")).json() == created.json()


# -- keys and columns ----------------------------------------------------------------------------------


async def test_links_do_not_depend_on_how_a_key_was_spelt(serve: Serve) -> None:
    """A UUID in capitals, or a number with zeros, finds the row and shows its one link."""
    async with serve(build=both) as site:
        ticket = (await site.upload("/tickets/")).json()
        await site.upload()
        spelt = await site.client.get(f"/tickets/{UUID(ticket['id']).hex.upper()}")

        assert spelt.json() == ticket
        assert (await site.client.get("/documents/001")).json()["file"]["url"] == "/documents/1/file"


def both(app: FastAPI, files: Filestore) -> None:
    """Mount documents, tickets and articles."""
    for model in (Document, Ticket, Article):
        app.include_router(files.router(model), prefix=f"/{model.__tablename__}")


async def test_an_expression_is_shown(serve: Serve) -> None:
    """A column that the database computes is read, and can't be set."""
    async with serve(build=both) as site:
        created = await site.upload("/tickets/", title="loud")

        assert created.json()["shouted"] == "LOUD"
        problem_in(await site.upload("/tickets/", shouted="x"), 422, "invalid-fields")


@pytest.mark.parametrize("slug", ["plain", "two words", "ü?#%41", "a\\b", "uploads", "C:x"])
async def test_a_key_of_any_text_has_a_working_link(serve: Serve, slug: str) -> None:
    """A key that is text is encoded in links."""
    async with serve(build=both) as site:
        created = await site.client.post("/articles/", files={"file": ("a", b"a")}, data={"slug": slug})
        read = await site.client.get(created.headers["location"])

        assert (read.status_code, read.json()) == (200, created.json())
        assert (await site.client.get(read.json()["file"]["url"])).content == b"a"


@pytest.mark.parametrize("slug", ["a/b", "/", "..", ".", "", "x" * 61])
async def test_a_key_that_no_path_can_hold_is_refused(serve: Serve, slug: str) -> None:
    """A key with a slash, of dots only, empty or too long is a 422, not a row that nobody can reach."""
    async with serve(build=both) as site:
        created = await site.client.post("/articles/", files={"file": ("a", b"a")}, data={"slug": slug})

        problem_in(created, 422, "invalid-fields")
        await site.check_empty()


def albums(app: FastAPI, files: Filestore) -> None:
    """Mount two columns of one model."""
    app.include_router(files.router(Album, field="cover"), prefix="/covers")
    app.include_router(files.router(Album, field="booklet"), prefix="/booklets")


async def test_each_file_column_can_have_its_router(serve: Serve) -> None:
    """`field=` names the column; the others stay as they are, and are shown."""
    async with serve(build=albums) as site:
        created = await site.upload("/covers/", field="cover", content=b"cover", title=())
        booklet = await site.client.put("/booklets/1/file", files={"booklet": ("b", b"booklet")})

        assert (created.status_code, created.json()["booklet"], created.json()["photos"]) == (201, None, None)
        assert booklet.json()["cover"]["filename"] == "a.txt"
        assert (await site.client.get("/covers/1/file")).content == b"cover"
        assert (await site.client.get("/booklets/1/file")).content == b"booklet"
        await site.check()


async def test_a_list_column_is_shown_and_deleted_with_its_row(serve: Serve) -> None:
    """Files of a list are in the response, and go with the row."""
    async with serve(build=albums) as site:
        async with site.session() as session:
            photos = [FileObject(filename=f"{number}.png", content=b"p") for number in range(3)]
            session.add(Album(cover=FileObject(content=b"c"), photos=photos))
            await session.commit()
        shown = (await site.client.get("/covers/1")).json()

        assert [photo["filename"] for photo in shown["photos"]] == ["0.png", "1.png", "2.png"]
        assert "path" not in shown["photos"][0]
        await site.client.delete("/covers/1")
        await site.check_empty()


async def test_enums_survive_raw_changes(site: Site) -> None:
    """What is shown is what the database holds now."""
    await site.upload()
    async with site.session() as session:
        await session.execute(update(Document).values(kind=Kind.INVOICE))
        await session.commit()
    shown: dict[str, Any] = (await site.client.get("/documents/1")).json()

    assert shown["kind"] == "invoice"
