"""Values that JSON and forms have no word of their own for."""

import json
from base64 import b64encode
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import Response

from fastapi_filestore import Filestore
from tests.web.conftest import Serve
from tests.web.models import Specimen
from tests.web.site import Site, problem_in

BYTES = b"\xff\xfe\xfb\x00"
TEXT = b64encode(BYTES).decode()


def specimens(app: FastAPI, files: Filestore) -> None:
    """Mount the specimens."""
    app.include_router(files.router(Specimen), prefix="/specimens")


@pytest.fixture
async def site(serve: Serve) -> AsyncIterator[Site]:
    """Specimens on SQLite."""
    async with serve(build=specimens, shared=True) as site:
        yield site
        await site.check()


async def post(site: Site, **values: str) -> Response:
    """Upload a file with values."""
    return await site.client.post("/specimens/", files={"file": b"content"}, data=values)


async def form_and_change(site: Site) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what OpenAPI says of the fields of a new row, and of those of a change."""
    paths = (await site.client.get("/openapi.json")).json()["paths"]
    form = paths["/specimens/"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    change = paths["/specimens/{identity}"]["patch"]["requestBody"]["content"]["application/json"]["schema"]
    return form["properties"], change["properties"]


# -- bytes ---------------------------------------------------------------------------------------------


async def test_bytes_are_base64_in_forms_and_in_json(site: Site) -> None:
    """What a client writes as base64 is bytes in the row, and is read as the same base64, listings included."""
    created = await post(site, blob=TEXT)
    changed = await site.client.patch("/specimens/1", json={"stamp": TEXT})
    read, listed = await site.client.get("/specimens/1"), await site.client.get("/specimens/")
    async with site.session() as session:
        row = await session.get(Specimen, 1)

    assert (created.status_code, created.json()["blob"]) == (201, TEXT)
    assert changed.json() == read.json() == listed.json()["items"][0]
    assert read.json()["stamp"] == TEXT
    assert row.blob == row.stamp == BYTES


async def test_bytes_that_somebody_else_wrote_can_be_read(site: Site) -> None:
    """Bytes that are no text, and more than the column asks for, hide neither their row nor the list."""
    async with site.session() as session:
        session.add(Specimen(blob=bytes(range(256)), stamp=b"\xff" * 5))
        await session.commit()
    read, listed = await site.client.get("/specimens/1"), await site.client.get("/specimens/")

    assert (read.status_code, listed.status_code) == (200, 200)
    assert read.json()["blob"] == b64encode(bytes(range(256))).decode()


@pytest.mark.parametrize("text", ["a", "\u00fc", "AAAAAAA="])
async def test_what_is_no_base64_or_too_long_is_refused(site: Site, text: str) -> None:
    """Text that is none, or has more bytes than the column, is a 422 in a form and in JSON."""
    created = await post(site, stamp=text)
    await post(site)
    changed = await site.client.patch("/specimens/1", json={"stamp": text})

    problem_in(created, 422, "invalid-fields")
    problem_in(changed, 422, "invalid-fields")


async def test_the_document_says_base64(site: Site) -> None:
    """OpenAPI has the encoding, and the length of the text rather than that of its bytes."""
    for fields in await form_and_change(site):
        assert fields["blob"]["anyOf"][0] == {"type": "string", "contentEncoding": "base64"}
        assert fields["stamp"]["anyOf"][0] == {"type": "string", "contentEncoding": "base64", "maxLength": 8}


# -- numbers that are none -----------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["inf", "-Infinity", "NaN", "1e400"])
async def test_a_client_writes_no_number_that_is_none(site: Site, value: str) -> None:
    """Infinity, NaN and what is too large for a float are a 422 in a form, in JSON and in JSON's text."""
    created = await post(site, ratio=value)
    await post(site)
    said, written = f'{{"ratio": "{value}"}}', f'{{"ratio": {value}}}'
    headers = {"content-type": "application/json"}
    changes = [await site.client.patch("/specimens/1", content=body, headers=headers) for body in (said, written)]

    for answer in (created, *changes):
        problem_in(answer, 422, "invalid-fields")
    assert (await site.client.get("/specimens/1")).json()["ratio"] == 0.5


# -- size ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "actual"),
    [
        ("note", "t" * 2001, 2001),
        ("note", "\u00fc" * 1001, 2002),
        ("blob", "A" * 2004, 2004),
        ("meta", {"key": "t" * 2000}, 2010),
        ("meta", [1] * 1001, 2003),
        ("no_such_column", "t" * 2001, 2001),
    ],
)
async def test_a_change_has_the_limit_of_a_form(serve: Serve, name: str, value: Any, actual: int) -> None:
    """A value in JSON, whole if it is nested, is a 413 beyond the limit of a field, as it is in a form."""
    async with serve(build=specimens, max_field_size=2000) as site:
        await post(site)
        before = (await site.client.get("/specimens/1")).json()
        created = await post(site, **{name: value if isinstance(value, str) else json.dumps(value)})
        changed = await site.client.patch("/specimens/1", json={name: value})
        problem = problem_in(changed, 413, "upload-too-large")

        problem_in(created, 413, "upload-too-large")
        assert (problem["limit"], problem["actual"]) == (2000, actual)
        assert repr(name) in problem["detail"]
        assert (await site.client.get("/specimens/1")).json() == before


@pytest.mark.parametrize("value", ["t" * 2000, "\u00fc" * 1000])
async def test_a_change_at_the_limit_is_accepted(serve: Serve, value: str) -> None:
    """The limit is of UTF-8, and the largest value that is accepted."""
    async with serve(build=specimens, max_field_size=2000) as site:
        await post(site)
        changed = await site.client.patch("/specimens/1", json={"note": value})

        assert (changed.status_code, changed.json()["note"]) == (200, value)


# -- JSON in a form ------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [{"a": 1}, [1, "b"], "text", 0.5, True, None])
async def test_a_column_of_json_takes_its_text_from_a_form(site: Site, value: Any) -> None:
    """A form's text is read as JSON, so that the same value is in the row as a change by JSON puts there."""
    created = await post(site, meta=json.dumps(value))
    await post(site)
    changed = await site.client.patch("/specimens/2", json={"meta": value})

    assert (created.status_code, changed.status_code) == (201, 200)
    assert created.json()["meta"] == changed.json()["meta"] == value


@pytest.mark.parametrize("text", ["{", "text", " ", "{'a': 1}", "[" * 1000])
async def test_text_that_is_no_json_is_refused(site: Site, text: str) -> None:
    """It is a 422 that names the field, and nothing is kept."""
    problem = problem_in(await post(site, meta=text), 422, "invalid-fields")

    assert problem["errors"][0]["loc"][0] == "meta"
    assert (await site.rows(Specimen), await site.keys()) == (0, set())


async def test_the_document_says_json_text(site: Site) -> None:
    """OpenAPI has JSON's text in the form, and any JSON in a change."""
    form, change = await form_and_change(site)

    assert form["meta"]["anyOf"][0] == {
        "type": "string", "contentMediaType": "application/json", "contentSchema": {},
    }  # fmt: skip
    assert "contentMediaType" not in json.dumps(change["meta"])
