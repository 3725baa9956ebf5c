"""JSON that is small to send and would be large to parse, or to answer."""

import json
from typing import Any

import pytest
from fastapi import FastAPI

from fastapi_filestore import Filestore
from tests.web.conftest import Serve
from tests.web.models import Specimen
from tests.web.site import Site, problem_in

MOST_BYTES = 64 * 1024


def specimens(app: FastAPI, files: Filestore) -> None:
    """Mount the specimens."""
    app.include_router(files.router(Specimen), prefix="/specimens")


async def patch(site: Site, body: bytes) -> Any:
    """Change the first specimen, which there is."""
    await site.client.post("/specimens/", files={"file": b"content"})
    return await site.client.patch("/specimens/1", content=body, headers={"content-type": "application/json"})


@pytest.mark.parametrize("name", ["k{}", "k" * 5000 + "{}", "\U0001f389" * 5000 + "{}"])
async def test_unknown_keys_make_a_small_answer(serve: Serve, name: str) -> None:
    """Twenty of them are named, their names cut, and the answer says how many more there are."""
    async with serve(build=specimens) as site:
        keys = min(9000, 900_000 // len(name.encode()))
        body = "{" + ",".join(f'"{name.format(number)}":1' for number in range(keys)) + "}"
        answer = await patch(site, body.encode())
        problem = problem_in(answer, 422, "invalid-fields")

        assert len(answer.content) <= MOST_BYTES
        assert 1 <= len(problem["errors"]) <= 20
        assert len(problem["errors"]) + problem["more_errors"] == keys
        assert len(problem["errors"]) == 20 or len(name) > 1000


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"{" + b",".join(b'"%x":1' % number for number in range(20_000)) + b"}", "too_many_values"),
        (b'{"meta":[' + b"[]," * 20_000 + b"[]]}", "too_many_values"),
        (b'{"meta":' + b"[" * 65 + b"]" * 65 + b"}", "too_deep"),
        (b'{"meta":' + b'{"a":' * 65 + b"1" + b"}" * 65 + b"}", "too_deep"),
    ],
)
async def test_json_without_end_is_not_parsed(serve: Serve, body: bytes, kind: str) -> None:
    """Too many keys, values or levels are a problem that says so, in a change and in a form's field."""
    async with serve(build=specimens, max_field_size="1 MiB") as site:
        changed = problem_in(await patch(site, body), 422, "invalid-fields")
        created = await site.client.post("/specimens/", files={"file": b"a"}, data={"meta": body[8:-1].decode()})

        assert [error["type"] for error in changed["errors"]] == [kind]
        if body.startswith(b'{"meta"'):
            problem_in(created, 422, "invalid-fields")


async def test_json_within_its_limits_is_taken(serve: Serve) -> None:
    """A text may hold any number of colons, commas, brackets and quotes, and a list as many values as the limit has."""
    async with serve(build=specimens, max_json_values=100, max_json_depth=5) as site:
        text = ':,[]{}"\\' * 5000
        meta = [[[["a"]]]] + [1] * 90
        answer = await patch(site, json.dumps({"note": text, "meta": meta}).encode())

        assert (answer.status_code, answer.json()["note"], answer.json()["meta"]) == (200, text, meta)


@pytest.mark.parametrize(("size", "status"), [(1024 * 1024, 422), (1024 * 1024 + 1, 413)])
async def test_a_body_of_json_has_a_limit(serve: Serve, size: int, status: int) -> None:
    """Beyond it nothing is parsed; up to it, what is wrong is said."""
    async with serve(build=specimens) as site:
        body = b'{"x":1}'
        name = {422: "invalid-fields", 413: "upload-too-large"}[status]

        problem_in(await patch(site, body + b" " * (size - len(body))), status, name)


async def test_a_field_that_may_be_large_fits(serve: Serve) -> None:
    """Whoever lets a field be large need not think of JSON."""
    async with serve(build=specimens, max_field_size="2 MiB") as site:
        answer = await patch(site, json.dumps({"note": "n" * 2 * 1024 * 1024}).encode())

        assert answer.status_code == 200


@pytest.mark.parametrize("method", ["PATCH", "POST"])
@pytest.mark.parametrize("length", [1000, 8000])
async def test_a_long_name_is_cut_in_an_answer(serve: Serve, method: str, length: int) -> None:
    """A key, a form's field, a type or an id of any length makes an answer of at most 64 KiB."""
    async with serve(build=specimens) as site:
        name = "n" * length
        sent: Any = {"PATCH": {"json": {name: "x" * 70_000}}, "POST": {"files": {name: b"a"}, "data": {name: "x"}}}[
            method
        ]
        await patch(site, b"{}")
        answer = await site.client.request(method, "/specimens/" + ("1" if method == "PATCH" else ""), **sent)

        assert answer.status_code in {413, 422}
        assert len(answer.content) < 5000
