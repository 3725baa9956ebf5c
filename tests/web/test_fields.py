"""Ids and JSON that a hostile or clumsy client may send, and rows that the database refuses."""

from typing import Any

import pytest
from fastapi import FastAPI

from fastapi_filestore import Filestore
from tests.servers.postgres import Postgres
from tests.web.conftest import Serve
from tests.web.models import Album, Document
from tests.web.site import Site, problem_in

VERBS = [("GET", ""), ("PATCH", ""), ("DELETE", ""), ("GET", "/file"), ("PUT", "/file")]


@pytest.mark.parametrize(("method", "suffix"), VERBS)
@pytest.mark.parametrize(
    ("identity", "expected"),
    [
        ("999", (404, "row-not-found")),
        ("9" * 40, (404, "row-not-found")),
        ("x", (422, "invalid-fields")),
        ("-0.5", (422, "invalid-fields")),
    ],
)
async def test_an_unknown_id_is_a_problem(
    site: Site, method: str, suffix: str, identity: str, expected: tuple[int, str]
) -> None:
    """An id of no row is a 404, and one of another type a 422, under every verb."""
    bodies: dict[str, Any] = {"PATCH": {"json": {}}, "PUT": {"files": {"file": ("a", b"a")}}}
    body = bodies.get(method, {})
    response = await site.client.request(method, f"/documents/{identity}{suffix}", **body)

    problem_in(response, *expected)
    await site.check_empty()


async def test_head_of_an_unknown_id_has_no_body(site: Site) -> None:
    """HEAD answers 404 as GET does."""
    assert (await site.client.head("/documents/999/file")).status_code == 404


STORED = {"backend": "web", "path": "aa/victim", "filename": "x", "content_type": "text/plain"}


@pytest.mark.parametrize("value", [STORED, [STORED], "aa/victim", None])
async def test_a_client_can_name_no_stored_object(site: Site, value: object) -> None:
    """A reference in JSON or in a field is a 422; the object is neither read nor deleted."""
    await site.backend.put("aa/victim", b"secret")
    await site.upload()
    changed = await site.client.patch("/documents/1", json={"file": value})
    posted = await site.client.post("/documents/", json={"title": "t", "file": value})
    field = await site.upload(title="u", file=str(value))

    problem_in(changed, 422, "invalid-fields")
    problem_in(posted, 422, "invalid-fields")
    problem_in(field, 422, "invalid-fields")
    assert "aa/victim" in await site.keys()
    assert (await site.client.get("/documents/1/file")).content == b"content"
    await site.backend.delete("aa/victim")


@pytest.mark.parametrize(
    ("body", "status", "name"),
    [
        (b"", 422, "invalid-fields"),
        (b"{", 422, "invalid-fields"),
        (b"[]", 422, "invalid-fields"),
        (b"null", 422, "invalid-fields"),
        (b'{"title": null}', 422, "invalid-fields"),
        (b'{"title": 1}', 422, "invalid-fields"),
        (b'{"title": "\\ud800"}', 422, "invalid-fields"),
        (b'{"\\ud800": 1}', 422, "invalid-fields"),
        (b"\xff", 422, "invalid-fields"),
        (b"[" * 100_000, 422, "invalid-fields"),
        (b'{"pages": 1e400}', 422, "invalid-fields"),
        (b'{"pages": 99999999999999999999}', 422, "invalid-fields"),
        (b'{"title": "' + b"t" * 500_000 + b'"}', 413, "upload-too-large"),
    ],
)
async def test_a_bad_change_is_a_problem(serve: Serve, body: bytes, status: int, name: str) -> None:
    """JSON that is none, of another shape, or endless changes nothing."""
    async with serve(max_form_fields=5, shared=True) as site:
        before = (await site.upload()).json()
        response = await site.client.patch("/documents/1", content=body, headers={"content-type": "application/json"})

        problem_in(response, status, name)
        assert (await site.client.get("/documents/1")).json() == before


async def test_a_change_of_another_type_is_a_problem(site: Site) -> None:
    """PATCH reads application/json only."""
    await site.upload()

    problem_in(await site.client.patch("/documents/1", data={"title": "u"}), 415, "unsupported-upload")


async def test_a_conflict_is_a_problem(site: Site) -> None:
    """A row that breaks a unique constraint is a 409 that leaves no bytes, on POST and on PATCH."""
    await site.upload(title="taken")
    await site.upload(title="other")
    posted, changed = await site.upload(title="taken"), await site.client.patch("/documents/2", json={"title": "taken"})

    problem_in(posted, 409, "row-conflict")
    problem_in(changed, 409, "row-conflict")
    assert (len(await site.keys()), await site.rows()) == (2, 2)


async def test_a_model_of_files_only_needs_no_fields(serve: Serve) -> None:
    """A model without other columns takes the file alone."""

    def build(app: FastAPI, files: Filestore) -> None:
        app.include_router(files.router(Album, field="cover"), prefix="/albums")

    async with serve(build=build) as site:
        created = await site.client.post("/albums/", files={"cover": ("a", b"a")})

        assert created.status_code == 201
        await site.check()


async def test_a_required_file_is_never_emptied(site: Site) -> None:
    """A row keeps its file when the replacement is refused."""
    await site.upload(content=b"old")
    await site.client.put("/documents/1/file", data={"title": "no file"})

    assert (await site.client.get("/documents/1/file")).content == b"old"
    assert await site.rows(Document) == 1


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
async def test_what_postgres_cannot_hold_is_a_problem(serve: Serve, postgres_database: Postgres, driver: str) -> None:
    """An id, a number or a text that is valid but not for the column is the client's mistake, not a crash."""
    async with serve(postgres_database.url(f"postgresql+{driver}")) as site:
        await site.upload()
        number, text = await site.upload(title="u", pages=2**40), await site.upload(title="a\x00b")
        changed = await site.client.patch("/documents/1", json={"pages": 2**40})

        problem_in(await site.client.get(f"/documents/{2**40}"), 404, "row-not-found")
        problem_in(number, 422, "invalid-fields")
        problem_in(text, 422, "invalid-fields")
        problem_in(changed, 422, "invalid-fields")
        assert (len(await site.keys()), await site.rows()) == (1, 1)
