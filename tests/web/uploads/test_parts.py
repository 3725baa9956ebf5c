"""Uploads in parts: a client stores them in the bucket, and a row takes the object where it lies."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from fastapi_filestore import StorageBackend, sweep
from tests.servers.seaweedfs import SeaweedFS
from tests.web.conftest import Serve
from tests.web.models import LEDGER, UPLOADS
from tests.web.site import Site, problem_in
from tests.web.uploading import begin
from tests.web.uploads.parts import AT, END, LONG, Bucket, open_bucket

GIB = 2**30


@pytest.fixture
async def bucket(serve: Serve, seaweedfs: SeaweedFS, backend: StorageBackend) -> AsyncIterator[Bucket]:
    """Documents in a bucket; rows and objects agree at the end, and nothing is unfinished."""
    async with open_bucket(serve, seaweedfs, backend) as bucket:
        yield bucket
        assert await bucket.unfinished() == []


async def claim(bucket: Bucket, upload: str, at: str = "/documents/", user: str = "ann") -> Any:
    """Give an upload to a new row."""
    body = {"upload": upload} | ({"title": "t"} if at == "/documents/" else {})
    return await bucket.site.client.post(at, json=body, headers={"X-User": user})


async def pass_day(site: Site) -> None:
    """Let everything fall due, and sweep."""
    async with site.session() as session:
        for table, column in ((UPLOADS.uploads, "expires"), (LEDGER.table, "due_at")):
            await session.execute(update(table).values({column: table.c[column] - timedelta(hours=25).total_seconds()}))
        await session.commit()
        assert [intent.error async for intent in sweep(session.get_bind().engine, LEDGER)] == [None]


async def test_a_row_takes_what_was_stored_in_parts(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts are signed, stored, listed and completed; the row has the object where they were stored, without a copy."""
    upload = await bucket.begin()
    parts = [await bucket.store(upload, 1, LONG), await bucket.store(upload, 2)]
    listed = (await bucket.ask("GET", upload, params={"key": upload})).json()
    [path] = await bucket.unfinished()
    monkeypatch.delattr(type(bucket.backend), "copy")
    completed = await bucket.complete(upload, *parts)
    state = (await bucket.site.client.get(f"/documents/uploads/{upload}")).json()
    row = await claim(bucket, upload)
    content = await bucket.site.client.get(f"{row.headers['location']}/file")

    assert [(part["PartNumber"], part["Size"]) for part in listed] == [(1, len(LONG)), (2, len(END))]
    assert completed.json() == {"location": f"/documents/uploads/{upload}", "key": upload}
    assert (state["state"], state["received"]) == ("complete", len(LONG) + len(END))
    assert row.status_code == 201, row.text
    assert (row.json()["file"]["filename"], row.json()["file"]["content_type"]) == ("a.txt", "text/plain")
    assert content.content == LONG + END
    assert await bucket.site.keys() == {path}


async def test_completing_once_more(bucket: Bucket) -> None:
    """A client that lost the answer completes again; after the claim it is told which row has the upload."""
    upload = await bucket.begin()
    part = await bucket.store(upload, 1)
    answers = [await bucket.complete(upload, part) for _ in range(2)]
    row = await claim(bucket, upload)
    late = await bucket.complete(upload, part)

    assert [answer.status_code for answer in answers] == [200, 200]
    assert problem_in(late, 409, "upload-claimed")["location"] == row.headers["location"]
    problem_in(await bucket.ask("GET", upload, "/1"), 404, "upload-not-found")


async def test_the_claim_completes_it(bucket: Bucket) -> None:
    """A client may leave it to the claim: what is stored counts."""
    upload = await bucket.begin()
    await bucket.store(upload, 1, LONG)
    await bucket.store(upload, 2)

    assert (await claim(bucket, upload)).json()["file"]["size"] == len(LONG) + len(END)


async def test_going_on_after_a_while(bucket: Bucket) -> None:
    """Who asks which parts are stored sends the others only."""
    upload = await bucket.begin()
    await bucket.store(upload, 1, LONG)
    await bucket.store(upload, 2, LONG)
    listed = (await bucket.ask("GET", upload)).json()
    stored = [{name: part[name] for name in ("PartNumber", "ETag")} for part in listed]
    urls = (await bucket.ask("GET", upload, "/batch", params={"partNumbers": "3,4", "key": upload})).json()
    sent = await bucket.outside.put(urls["presignedUrls"]["3"], content=END)
    last = {"PartNumber": 3, "ETag": sent.headers["ETag"]}

    assert [part["PartNumber"] for part in stored] == [1, 2]
    assert set(urls["presignedUrls"]) == {"3", "4"}
    assert (await bucket.complete(upload, *stored, last)).status_code == 200
    assert (await claim(bucket, upload)).json()["file"]["size"] == 2 * len(LONG) + len(END)


async def test_what_is_not_all_there(bucket: Bucket) -> None:
    """A gap, a part that is too short, and parts that are others than the client means are told; nothing is lost."""
    upload = await bucket.begin()
    problem_in(await claim(bucket, upload), 409, "upload-incomplete")
    first, third = await bucket.store(upload, 1, LONG), await bucket.store(upload, 3)
    said = [
        problem_in(await bucket.complete(upload, *parts), 409, "upload-part")["detail"].removeprefix("Part ")
        for parts in ([first, third], [first], [first, {"PartNumber": 2, "ETag": "x"}, third], [{**first, "ETag": "x"}])
    ]

    assert [text.partition(":")[0] for text in said] == [
        "2 of the upload is missing",
        "3 of the upload is stored, and you do not name it",
        "2 of the upload is not stored",
        "1 of the upload is stored with another ETag",
    ]
    problem_in(await claim(bucket, upload), 409, "upload-part")
    await bucket.store(upload, 2, LONG)
    assert (await claim(bucket, upload)).json()["file"]["size"] == 2 * len(LONG) + len(END)


async def test_parts_that_are_too_short(bucket: Bucket) -> None:
    """All parts but the last have 5 MiB, whatever the store would take."""
    upload = await bucket.begin()
    parts = [await bucket.store(upload, 1), await bucket.store(upload, 2)]

    assert "has 7 bytes" in problem_in(await bucket.complete(upload, *parts), 409, "upload-part")["detail"]
    await bucket.ask("DELETE", upload)


async def test_ending_it(bucket: Bucket) -> None:
    """A client that gives up leaves nothing in the bucket, whichever of both routes it uses."""
    for url in (f"{AT}/multipart/{{}}?key={{}}", "/documents/uploads/{}"):
        upload = await bucket.begin()
        await bucket.store(upload, 1)
        ended = await bucket.site.client.delete(url.format(upload, upload))

        assert ended.is_success, ended.text
        assert await bucket.unfinished() == []
        problem_in(await bucket.complete(upload), 404, "upload-not-found")
        problem_in(await bucket.ask("DELETE", upload), 404, "upload-not-found")


async def test_what_nobody_goes_on_with_is_swept(bucket: Bucket) -> None:
    """A day after the last part was signed the upload goes, and its parts with it."""
    upload = await bucket.begin()
    await bucket.store(upload, 1)
    assert len(await bucket.unfinished()) == 1
    await pass_day(bucket.site)

    assert await bucket.unfinished() == []
    assert await bucket.site.rows(UPLOADS.upload) == 0
    problem_in(await bucket.ask("GET", upload, "/2"), 404, "upload-not-found")


async def test_uploads_of_others_are_none(bucket: Bucket) -> None:
    """Another user, another router and another key get the 404 of an upload that never was, on every verb."""
    upload, other = await bucket.begin(), await bucket.begin(user="bob")
    part = await bucket.store(upload, 1)
    verbs: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", "", {}),
        ("GET", "/1", {}),
        ("GET", "/batch?partNumbers=1", {}),
        ("POST", "/complete", {"json": {"parts": [part]}}),
        ("DELETE", "", {}),
    ]
    for method, below, options in verbs:
        keyed = f"{below}{'&' if '?' in below else '?'}key={other}"
        problem_in(await bucket.ask(method, upload, below, user="bob", **options), 404, "upload-not-found")
        problem_in(await bucket.ask(method, upload, keyed, **options), 404, "upload-not-found")
        elsewhere = AT.replace("documents", "photos") + f"/multipart/{upload}{below}"
        problem_in(await bucket.site.client.request(method, elsewhere, **options), 404, "upload-not-found")
    problem_in(await claim(bucket, upload, user="bob"), 404, "upload-not-found")
    whole = (await begin(bucket.site.client, size=5))["id"]
    problem_in(await bucket.ask("GET", whole), 404, "upload-not-found")  # is none in parts
    await bucket.ask("DELETE", other, user="bob")

    assert (await bucket.complete(upload, part)).status_code == 200


async def test_a_large_file_is_announced(bucket: Bucket) -> None:
    """Above what one request can store, or on demand, a client is told of parts, each of which has its length."""
    large = await begin(bucket.site.client, size=6 * GIB)
    small = await begin(bucket.site.client, size=len(LONG), parts=True)
    usual = await begin(bucket.site.client, size=5)
    parts = small["direct"]["parts"]
    signed = (await bucket.site.client.get(f"{parts['url']}/1")).json()
    longer = await bucket.outside.put(signed["url"], content=LONG + b"!")
    stored = await bucket.outside.put(signed["url"], content=LONG)
    late = await bucket.site.client.get(f"{parts['url']}/2")
    completed = await bucket.site.client.post(f"{small['url']}/complete")

    assert large["direct"]["parts"] == {"url": f"{AT}/multipart/{large['id']}", "size": 16 * 2**20, "count": 384}
    assert parts["count"] == 1
    assert usual["direct"]["method"] == "PUT"
    assert (longer.status_code, stored.status_code) == (403, 200)
    problem_in(late, 409, "upload-part")
    assert completed.json()["state"] == "complete"
    await bucket.site.client.delete(large["url"])


async def test_what_the_column_does_not_take(bucket: Bucket) -> None:
    """Type, size and number of parts are judged when it is begun, when a part is signed, and before it is an object."""
    told = {"filename": "a.png", "type": "image/png"}
    refused = await bucket.site.client.post("/photos/uploads/s3/multipart", json=told | {"type": "text/plain"})
    upload = await bucket.begin("/photos/uploads/s3", **told)
    url = f"/photos/uploads/s3/multipart/{upload}"
    second = await bucket.site.client.get(f"{url}/2")
    signed = (await bucket.site.client.get(f"{url}/1")).json()
    await bucket.outside.put(signed["url"], content=b"x" * 701)
    large = await claim(bucket, upload, "/photos/")

    problem_in(refused, 415, "unsupported-upload")
    problem_in(second, 413, "upload-too-large")
    assert problem_in(large, 413, "upload-too-large")["actual"] == 701
    assert (await bucket.site.client.delete(url)).status_code == 200


async def test_columns_are_named(bucket: Bucket) -> None:
    """Where a model has several columns, the metadata says which; one that is not there is told."""
    upload = await bucket.begin("/albums/uploads/s3", metadata={"field": "booklet", "name": "a.txt"})
    params = {"filename": "a.txt", "type": "text/plain", "metadata[field]": "nope", "metadata[name]": "a.txt"}
    wrong = await bucket.site.client.get("/albums/uploads/s3/params", params=params)

    assert (await bucket.site.client.get(f"/albums/uploads/{upload}")).json()["field"] == "booklet"
    problem_in(wrong, 422, "invalid-fields")
    await bucket.site.client.delete(f"/albums/uploads/{upload}")


async def test_bodies_that_are_none(bucket: Bucket) -> None:
    """Any other body, and numbers that no part has, are told what is wrong with them."""
    upload = await bucket.begin()
    bodies: list[Any] = [{"parts": [{"PartNumber": 0, "ETag": "x"}]}, {"parts": 1}, [], {"parts": [{"PartNumber": 1}]}]
    for body in bodies:
        response = await bucket.ask("POST", upload, "/complete", json=body)
        problem_in(response, 422, "invalid-fields")
    for numbers in ("", "0", "1,x", "1,2,", "10001", ",".join(map(str, range(1, 102)))):
        assert (await bucket.ask("GET", upload, "/batch", params={"partNumbers": numbers})).status_code == 422
    assert (await bucket.ask("GET", upload, "/10001")).status_code == 422
    await bucket.ask("DELETE", upload)


async def test_a_form_stores_a_small_file(bucket: Bucket) -> None:
    """Uppy posts small files by a form; the last part of their key is the id, and a row gets a copy."""
    params = {"filename": "a.txt", "type": "text/plain", "metadata[name]": "a.txt", "metadata[type]": "text/plain"}
    told = (await bucket.site.client.get(f"{AT}/params", params=params)).json()
    posted = [
        await bucket.outside.post(told["url"], data=told["fields"], files={"file": ("blob", END)}) for _ in range(2)
    ]
    upload = told["fields"]["key"].rpartition("/")[2]
    row = await claim(bucket, upload)
    late = await bucket.outside.post(told["url"], data=told["fields"], files={"file": ("blob", b"evil")})
    content = await bucket.site.client.get(f"{row.headers['location']}/file")

    assert told["method"] == "POST"
    assert [answer.status_code for answer in posted] == [201, 201]
    assert row.status_code == 201, row.text
    assert late.status_code == 201
    assert (content.content, row.json()["file"]["filename"]) == (END, "a.txt")
    problem_in(await bucket.ask("GET", upload), 404, "upload-not-found")
    await pass_day(bucket.site)  # with what came late
