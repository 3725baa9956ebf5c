"""Conditions of requests that write: nobody writes over a state that they have not seen (RFC 9110, section 13)."""

import asyncio
from collections.abc import AsyncIterator
from hashlib import sha256
from typing import Any

import pytest
from httpx import Response

from tests.servers.postgres import Postgres
from tests.web.conftest import Serve
from tests.web.models import Document
from tests.web.papers import as_user, papers, post
from tests.web.site import Site, problem_in

OLD = f'"{sha256(b"old").hexdigest()}"'
BEFORE, AFTER = "Sun, 22 Nov 1998 12:00:00 GMT", "Sat, 22 Nov 2098 12:00:00 GMT"
Headers = list[tuple[str, str]]
RAW = ("Content-Type", "text/plain")


@pytest.fixture
async def url(site: Site) -> str:
    """The URL of a row's file."""
    return str((await site.upload(content=b"old")).json()["file"]["url"])


async def put(site: Site, url: str, *headers: tuple[str, str], content: Any = b"new") -> Response:
    """Replace a file."""
    return await site.client.put(url, content=content, headers=[RAW, *headers])


PUTS: list[tuple[Headers, int]] = [
    ([("If-Match", OLD)], 200),
    ([("If-Match", "*")], 200),
    ([("If-Match", f'"x", {OLD}')], 200),
    ([("If-Match", '"x"'), ("If-Match", OLD)], 200),  # two lines are one list
    ([("If-Match", '"x"')], 412),
    ([("If-Match", f"W/{OLD}")], 412),  # strong comparison
    ([("If-Match", OLD.strip('"'))], 412),  # no entity tag at all
    ([("If-None-Match", "*")], 412),
    ([("If-None-Match", OLD)], 412),
    ([("If-None-Match", f"W/{OLD}")], 412),  # weak comparison
    ([("If-None-Match", '"x"'), ("If-None-Match", OLD)], 412),
    ([("If-None-Match", '"x"')], 200),
    ([("If-Unmodified-Since", BEFORE)], 412),
    ([("If-Unmodified-Since", AFTER)], 200),
    ([("If-Unmodified-Since", "yesterday")], 200),
    ([("If-Match", OLD), ("If-Unmodified-Since", BEFORE)], 200),  # the tag decides alone
    ([("If-Modified-Since", AFTER)], 200),  # for reads only
]


@pytest.mark.parametrize(("headers", "status"), PUTS)
async def test_a_file_is_replaced_in_the_state_asked_for_only(
    site: Site, url: str, headers: Headers, status: int
) -> None:
    """PUT writes if its conditions hold; if not it is a 412, the old file stays and nothing else is in the store."""
    response = await put(site, url, *headers)

    assert response.status_code == status, response.text
    assert (await site.client.get(url)).content == (b"new" if status == 200 else b"old")
    assert len(await site.keys()) == 1
    if status == 412:
        problem_in(response, 412, "precondition-failed")


async def test_a_refused_body_is_not_read(site: Site, url: str) -> None:
    """What is known to be in vain before a byte is read is refused before a byte is read."""
    read = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal read
        read += 1
        yield b"new"

    response = await put(site, url, ("If-Match", '"x"'), ("Content-Length", "3"), content=body())

    problem_in(response, 412, "precondition-failed")
    assert read == 0


async def replacing(site: Site, url: str) -> AsyncIterator[bytes]:
    """Send a body while somebody else replaces the file."""
    yield b"mine, "
    assert (await put(site, url, content=b"theirs")).status_code == 200
    yield b"too late"


@pytest.mark.parametrize("condition", [("If-Match", OLD), ("If-None-Match", '"x"')])
async def test_a_replacement_on_the_way_is_noticed(site: Site, url: str, condition: tuple[str, str]) -> None:
    """A file that is replaced while the body comes in is compared again: only a condition that still holds writes."""
    response = await put(site, url, condition, content=replacing(site, url))
    holds = condition[0] == "If-None-Match"

    assert response.status_code == (200 if holds else 412)
    assert (await site.client.get(url)).content == (b"mine, too late" if holds else b"theirs")
    assert len(await site.keys()) == 1


async def test_without_a_condition_the_last_one_wins(site: Site, url: str) -> None:
    """A PUT that asks for no state replaces whatever is there by then."""
    assert (await put(site, url, content=replacing(site, url))).status_code == 200
    assert (await site.client.get(url)).content == b"mine, too late"


async def test_a_row_that_goes_on_the_way_is_a_404(site: Site, url: str) -> None:
    """A row that is deleted while the body comes in is gone, whatever was asked of its file, and leaves no bytes."""

    async def body() -> AsyncIterator[bytes]:
        yield b"new"
        assert (await site.client.delete("/documents/1")).status_code == 204
        yield b"new"

    response = await put(site, url, ("If-Match", OLD), content=body())

    problem_in(response, 404, "row-not-found")
    await site.check_empty()


@pytest.mark.parametrize("database", ["sqlite+aiosqlite", "sqlite", "postgresql+asyncpg", "postgresql+psycopg"])
async def test_one_of_many_writers_wins(
    serve: Serve, database: str, tmp_path: Any, request: pytest.FixtureRequest
) -> None:
    """Of clients that replace the same state at once exactly one does; the others know that they did not."""
    postgres: Postgres | None = request.getfixturevalue("postgres_database") if "postgres" in database else None
    async with serve(postgres.url(database) if postgres else f"{database}:///{tmp_path}/web.db", shared=True) as site:
        url = (await site.upload(content=b"old")).json()["file"]["url"]
        answers = await asyncio.gather(
            *(put(site, url, ("If-Match", OLD), content=b"new %d" % number) for number in range(4))
        )
        winner = [answer.status_code for answer in answers].index(200)

        assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412]
        assert (await site.client.get(url)).content == b"new %d" % winner
        await site.check()


EMPTY: list[tuple[tuple[str, str], int]] = [
    (("If-None-Match", "*"), 200),
    (("If-None-Match", OLD), 200),
    (("If-Unmodified-Since", BEFORE), 200),
    (("If-Match", "*"), 412),
    (("If-Match", OLD), 412),
]


@pytest.mark.parametrize(("condition", "status"), EMPTY)
async def test_an_empty_column_has_no_state(site: Site, condition: tuple[str, str], status: int) -> None:
    """`If-None-Match: *` puts the first file into a row, and `If-Match` puts none."""
    async with site.session() as session:
        session.add(Document(title="empty"))
        await session.commit()
    response = await put(site, "/documents/1/file", condition)

    assert response.status_code == status
    assert len(await site.keys()) == (status == 200)


ROWS: list[tuple[tuple[str, str], bool]] = [
    (("If-Match", "*"), True),
    (("If-Match", OLD), False),  # the tag of its file is none of the row
    (("If-Match", '"x"'), False),
    (("If-None-Match", "*"), False),
    (("If-None-Match", '"x"'), True),
    (("If-Unmodified-Since", BEFORE), True),  # a row has no date
]


@pytest.mark.parametrize(("condition", "holds"), ROWS)
async def test_a_row_is_there_and_that_is_its_state(
    site: Site, url: str, condition: tuple[str, str], holds: bool
) -> None:
    """PATCH and DELETE of a row, which has no entity tag: only `*` matches it, and what fails changes nothing."""
    headers = [condition]
    changed = await site.client.patch("/documents/1", json={"title": "changed"}, headers=headers)
    row = (await site.client.get("/documents/1")).json()
    deleted = await site.client.delete("/documents/1", headers=headers)

    assert (changed.status_code, deleted.status_code) == ((200, 204) if holds else (412, 412))
    assert (row["title"], await site.rows()) == (("changed", 0) if holds else ("t", 1))
    assert len(await site.keys()) == (not holds)


@pytest.mark.parametrize(("method", "path"), [("PUT", "999/file"), ("PATCH", "999"), ("DELETE", "999")])
async def test_a_row_that_is_not_there_has_no_state(site: Site, method: str, path: str) -> None:
    """404 comes before 412."""
    bodies: dict[str, Any] = {"PUT": {"files": {"file": b"new"}}, "PATCH": {"json": {}}, "DELETE": {}}
    wrong = {"If-Match": '"x"'}
    response = await site.client.request(method, f"/documents/{path}", headers=wrong, **bodies[method])

    problem_in(response, 404, "row-not-found")


@pytest.mark.parametrize(("user", "status"), [("ann", 200), ("bob", 404)])
async def test_the_state_of_a_row_of_others_is_not_told(serve: Serve, user: str, status: int) -> None:
    """A condition that holds or fails says nothing about a row outside of the scope: it is not there."""
    async with serve(build=papers) as site:
        await post(site, "ann", content=b"old")
        headers = as_user(user) | dict([RAW])
        right, wrong = [
            await site.client.put("/papers/1/file", content=b"new", headers=headers | {"If-Match": tag})
            for tag in (OLD, '"x"')
        ]

        assert (right.status_code, wrong.status_code) == (status, 412 if status == 200 else 404)
        await site.check()


@pytest.mark.parametrize("name", ["If-Match", "If-Unmodified-Since"])
async def test_a_client_that_reads_before_it_writes_loses_nothing(site: Site, url: str, name: str) -> None:
    """The validators of a download are those that a replacement asks for."""
    field = {"If-Match": "etag", "If-Unmodified-Since": "last-modified"}[name]
    seen = (await site.client.get(url)).headers[field]
    first = await put(site, url, (name, seen))

    assert first.status_code == 200
    if name == "If-Match":  # a date has whole seconds
        problem_in(await put(site, url, (name, seen)), 412, "precondition-failed")


async def test_a_resumed_download_is_never_spliced(site: Site, url: str) -> None:
    """Who resumes by date a file that was replaced in the same second gets all of the new one."""
    await put(site, url, content=b"n" * 10)
    replaced = (await site.client.get(url)).headers["last-modified"]
    rest = await site.client.get(url, headers={"Range": "bytes=5-", "If-Range": replaced})

    assert (rest.status_code, rest.content) == (200, b"n" * 10)


async def test_412_is_documented_where_it_is_answered(site: Site) -> None:
    """OpenAPI has 412 for every verb that heeds conditions."""
    paths = site.app.openapi()["paths"]
    row, file = paths["/documents/{identity}"], paths["/documents/{identity}/file"]

    assert all("412" in operation["responses"] for operation in (row["patch"], row["delete"], file["put"], file["get"]))
