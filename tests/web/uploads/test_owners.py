"""Whose uploads are: the owner's own on every verb, and so many of them at once."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import uuid4

import pytest
from fastapi import FastAPI, Header, HTTPException
from httpx import Response

from fastapi_filestore import ConfigurationError, Filestore, UploadOptions
from tests.web.conftest import Serve
from tests.web.models import Document
from tests.web.site import SIGNING_KEY, Site, problem_in
from tests.web.uploading import begin, send

ANN, BOB = {"X-User": "ann"}, {"X-User": "bob"}


async def who(x_user: Annotated[str | None, Header()] = None) -> str:
    """Return who asks."""
    if x_user is None:
        raise HTTPException(401)
    return x_user


def owned(app: FastAPI, files: Filestore) -> None:
    """Mount documents whose uploads are of users, and some that anybody may use, or a few may at once."""
    own = UploadOptions(owner=who, most_open=10, most_bytes="1 kB")
    app.include_router(files.router(Document, uploads=own), prefix="/documents")
    app.include_router(files.router(Document, uploads=UploadOptions(most_of_all=10)), prefix="/few")
    app.include_router(files.router(Document, uploads=True), prefix="/all")
    app.include_router(files.signed_router())


@pytest.fixture
async def site(each_database: str | None, serve: Serve) -> AsyncIterator[Site]:
    """Documents with uploads of users, on each database."""
    async with serve(each_database, build=owned, signing_keys=[SIGNING_KEY], shared=True) as site:
        yield site
        await site.check()


async def test_uploads_of_others_are_none(site: Site) -> None:
    """Another user gets the 404 of an upload that never was, on every verb, and nobody without a name gets any."""
    upload = await send(site.client, headers=ANN)
    row = (await site.client.post("/documents/", json={"title": "t"}, headers=BOB)).headers["location"]
    claim: dict[str, Any] = {"json": {"title": "u", "upload": upload["id"]}}
    verbs: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", upload["url"], {}),
        ("HEAD", upload["url"], {"headers": {"Tus-Resumable": "1.0.0"}}),
        ("POST", f"{upload['url']}/complete", {}),
        ("DELETE", upload["url"], {}),
        ("POST", "/documents/", claim),
        ("POST", "/documents/", {"data": claim["json"]}),
        ("PUT", f"{row}/file", {"json": {"upload": upload["id"]}}),
    ]
    for method, url, options in verbs:
        headers = options.pop("headers", {})
        answer = await site.client.request(method, url, headers=headers | BOB, **options)
        nobody = await site.client.request(method, url, headers=headers, **options)

        assert (answer.status_code, nobody.status_code) == (404, 401), (method, url)
        if method != "HEAD":
            problem_in(answer, 404, "upload-not-found")
    assert (await site.client.post("/documents/", headers=ANN, **claim)).status_code == 201


async def test_whoever_knows_an_id_may_use_it_without_an_owner(site: Site) -> None:
    """The id is the secret then; what an owner has is not to be had that way."""
    free, own = await send(site.client, at="/all/uploads"), await send(site.client, headers=ANN)

    assert len(free["id"]) >= 43
    assert (await site.client.post("/few/", json={"title": "t", "upload": free["id"]})).status_code == 201
    problem_in(await site.client.get(f"/all/uploads/{own['id']}"), 404, "upload-not-found")


@pytest.mark.parametrize(("at", "headers"), [("/documents/uploads", ANN), ("/few/uploads", {})])
async def test_so_many_may_be_open(site: Site, at: str, headers: dict[str, str]) -> None:
    """Of fifty that are begun at once as many succeed as may be open; the others are told to come again, and when."""
    announced = {"filename": "a.txt"}
    answers = await asyncio.gather(*(site.client.post(at, json=announced, headers=headers) for _ in range(50)))
    refused = [answer for answer in answers if answer.status_code != 201]

    assert len(refused) == 40, {answer.text for answer in refused}
    for answer in refused:
        problem = problem_in(answer, 429, "too-many-open-uploads")
        assert (problem["limit"], problem["unit"]) == (10, "files")
        assert 0 < int(answer.headers["retry-after"]) <= 24 * 3600


async def test_what_is_open_is_counted(site: Site) -> None:
    """One that ended, or that a row has, makes room for another; those of other users take none."""
    uploads = [await send(site.client, headers=ANN) for _ in range(10)]
    assert (await again(site)).status_code == 429
    assert (await site.client.post("/documents/uploads", json={"filename": "a"}, headers=BOB)).status_code == 201
    await site.client.delete(uploads[0]["url"], headers=ANN)
    assert [(await again(site)).status_code for _ in range(2)] == [201, 429]
    claim = {"title": "t", "upload": uploads[1]["id"]}
    assert (await site.client.post("/documents/", json=claim, headers=ANN)).status_code == 201
    assert [(await again(site)).status_code for _ in range(2)] == [201, 429]


async def again(site: Site, **announced: Any) -> Response:
    """Begin one more of Ann's."""
    return await site.client.post("/documents/uploads", json={"filename": "a"} | announced, headers=ANN)


async def test_so_many_bytes_may_be_open(site: Site) -> None:
    """What is announced counts, and of what is not what was stored, once that is known."""
    await begin(site.client, size=600, headers=ANN)
    unknown = await send(site.client, b"x" * 400, headers=ANN)
    refused = await again(site, size=401)
    assert (await again(site, size=400)).status_code == 201
    assert (await site.client.post(f"{unknown['url']}/complete", headers=ANN)).status_code == 200

    problem = problem_in(refused, 429, "too-many-open-uploads")
    assert (problem["limit"], problem["actual"], problem["unit"]) == (1000, 1001, "bytes")
    assert (await again(site, size=1)).status_code == 429


@pytest.mark.parametrize(
    "options", [{"most_open": 0}, {"most_bytes": 0}, {"lasts": timedelta(0)}, {"most_of_all": 0}, {"most_open": -1}]
)
def test_limits_are_more_than_nothing(options: dict[str, Any]) -> None:
    """A limit that lets nobody begin any is a mistake, told where the router is made."""
    with pytest.raises(ConfigurationError, match="more than zero"):
        UploadOptions(**options)


def test_sizes_are_read() -> None:
    """Bytes have units; a word that is none is a mistake."""
    assert UploadOptions(most_bytes="2 MiB").limits().most_bytes == 2 * 2**20
    with pytest.raises(ConfigurationError):
        UploadOptions(most_bytes="much")


@pytest.mark.parametrize("given", [Document(), {"id": 1}, 1.5, b"ann", ["ann"]])
def test_an_owner_is_an_id(given: object) -> None:
    """What is another thing in the next request, or has no one text, is refused: others could read by it."""
    with pytest.raises(ConfigurationError, match="the id of whoever asks"):
        UploadOptions().owner_of(given, {})


@pytest.mark.parametrize("owner", ["ann" * 1000, "a\0b", "ann\n", "\ud800"])
def test_owners_of_any_text_are_kept_apart(owner: str) -> None:
    """A text that no column could hold, or that is long, is known by its digest; others are kept as they are."""
    kept = UploadOptions().owner_of(owner, {})

    assert kept is not None
    assert kept != UploadOptions().owner_of(f"{owner}x", {})
    assert (len(kept), kept.isalnum()) == (64, True)


def test_owners_of_defaults() -> None:
    """Ids among the values of new rows tell whose an upload is; what differs with each request, as a time, does not."""
    options, now = UploadOptions(), datetime.now(UTC)

    assert options.owner_of(None, {"owner": "ann", "created": now}) == options.owner_of(None, {"owner": "ann"})
    assert options.owner_of(None, {"created": now, "team": None}) is None
    assert options.owner_of(uuid := uuid4(), {"owner": "ann"}) == str(uuid)
