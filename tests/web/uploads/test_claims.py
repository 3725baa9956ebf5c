"""Rows take uploads by their ids: by JSON and by form, into one column and several, into lists, once."""

import asyncio
from typing import Any

import pytest

from tests.web.models import Album, Book, Document
from tests.web.site import Site, problem_in
from tests.web.uploading import begin, put, send
from tests.web.uploads.conftest import KINDS

EVERYWHERE = pytest.mark.parametrize("site", KINDS, indirect=True)


@EVERYWHERE
@pytest.mark.parametrize("body", ["json", "data"])
async def test_a_new_row_takes_an_upload(site: Site, body: str) -> None:
    """The row has the file, and the upload is nobody's any more."""
    upload = await send(site.client, b"bytes", filename="b.txt")
    fields: Any = {body: {"title": "t", "upload": upload["id"]}}
    created = await site.client.post("/documents/", **fields)
    location = created.headers["location"]
    ended = await site.client.get(upload["url"])

    assert created.status_code == 201, created.text
    assert (created.json()["file"]["filename"], created.json()["file"]["size"]) == ("b.txt", 5)
    assert (await site.client.get(f"{location}/file")).content == b"bytes"
    problem_in(ended, 404, "upload-not-found")
    assert len(await site.keys()) == 1
    await site.check()


@EVERYWHERE
async def test_a_second_row_does_not(site: Site) -> None:
    """It is told which row has the upload, by POST and PUT, and so is whoever completes it; nothing changes."""
    upload = await send(site.client)
    first = await site.client.post("/documents/", json={"title": "t", "upload": upload["id"]})
    again = [
        await site.client.post("/documents/", json={"title": "u", "upload": upload["id"]}),
        await site.client.post("/documents/", data={"title": "u", "upload": upload["id"]}),
        await site.client.put(f"{first.headers['location']}/file", json={"upload": upload["id"]}),
        await site.client.post(f"{upload['url']}/complete"),
    ]

    for answer in again:
        assert problem_in(answer, 409, "upload-claimed")["location"] == first.headers["location"]
        assert answer.headers["location"] == first.headers["location"]
    assert await site.rows(Document) == 1


@EVERYWHERE
async def test_of_eight_at_once_one_has_it(site: Site) -> None:
    """Rows that take the same upload at the same time are one row and seven conflicts that name it."""
    upload = await send(site.client)
    answers = await asyncio.gather(
        *(site.client.post("/documents/", json={"title": f"t{n}", "upload": upload["id"]}) for n in range(8))
    )
    statuses = sorted(answer.status_code for answer in answers)

    assert statuses == [201] + [409] * 7, [answer.text for answer in answers]
    assert len({answer.headers["location"] for answer in answers}) == 1
    assert await site.rows(Document) == len(await site.keys()) == 1


async def test_a_row_needs_neither_file_nor_upload_if_its_column_is_nullable(site: Site) -> None:
    """Where nothing comes, there is no file; one that is needed is missed, by name."""
    empty = await site.client.post("/documents/", json={"title": "t"})
    none = [
        await site.client.post("/books/", json={"title": "t"}),
        await site.client.post("/books/", data={"title": "t", "upload": ""}),
        await site.client.post("/books/", json={"title": "t", "upload": []}),
    ]

    assert (empty.status_code, empty.json()["file"]) == (201, None)
    for answer in none:
        assert problem_in(answer, 422, "missing-file")["field"] == "cover"


async def test_a_row_of_several_columns(site: Site) -> None:
    """Each upload goes to the column that it was begun for, beside files that come with the form."""
    cover = await send(site.client, b"cover", "/books/uploads", filename="cover.txt")
    pages = [await send(site.client, b"%d" % n, "/books/uploads", filename=f"{n}.txt", field="pages") for n in range(2)]
    ids = ",".join(upload["id"] for upload in [pages[1], cover, pages[0]])
    form: Any = {
        "data": {"title": "t", "upload": ids},
        "files": {"back": ("back.txt", b"back"), "pages": ("2.txt", b"2")},
    }
    created = await site.client.post("/books/", **form)
    book = created.json()

    assert created.status_code == 201, created.text
    assert (book["cover"]["filename"], book["back"]["filename"]) == ("cover.txt", "back.txt")
    assert [page["filename"] for page in book["pages"]] == ["2.txt", "1.txt", "0.txt"]
    assert [(await site.client.get(page["url"])).content for page in book["pages"]] == [b"2", b"1", b"0"]


async def test_a_column_of_one_file_takes_one(site: Site) -> None:
    """Two uploads for it, or an upload beside a file, are too many, and stay uploads."""
    uploads = [await send(site.client) for _ in range(2)]
    ids = [upload["id"] for upload in uploads]
    two = await site.client.post("/documents/", json={"title": "t", "upload": ids})
    beside = await site.client.post("/documents/", data={"title": "t", "upload": ids[0]}, files={"file": b"x"})

    for answer in (two, beside):
        assert problem_in(answer, 422, "too-many-files")["limit"] == 1
    assert [(await site.client.get(upload["url"])).json()["state"] for upload in uploads] == ["complete"] * 2
    assert await site.rows(Document) == 0


@EVERYWHERE
async def test_a_list_takes_several(site: Site) -> None:
    """They are added in their order: one, several, and beside a file of the form."""
    album = (await site.client.post("/albums/", json={})).headers["location"]
    uploads = [await send(site.client, b"%d" % n, "/albums/uploads", filename=f"{n}", field="photos") for n in range(4)]
    one, two, three, four = [upload["id"] for upload in uploads]
    answers = [
        await site.client.post(f"{album}/photos", json={"upload": one}),
        await site.client.post(f"{album}/photos", json={"upload": [three, two]}),
        await site.client.post(f"{album}/photos", data={"upload": four}, files={"photos": ("4", b"4")}),
    ]
    photos = (await site.client.get(album)).json()["photos"]
    again = await site.client.post(f"{album}/photos", json={"upload": one})

    assert [answer.status_code for answer in answers] == [201] * 3, [answer.text for answer in answers]
    assert [photo["filename"] for photo in photos] == ["0", "2", "1", "4", "3"]
    problem_in(again, 409, "upload-claimed")
    assert again.headers["location"] == album


async def test_a_list_takes_as_many_as_it_may_have(site: Site) -> None:
    """A new row and a list that has some are refused more, and the uploads are for another try."""
    uploads = [await send(site.client, at="/books/uploads", field="pages") for _ in range(5)]
    ids = [upload["id"] for upload in uploads]
    cover = (await send(site.client, at="/books/uploads"))["id"]
    refused = await site.client.post("/books/", json={"title": "t", "upload": [cover, *ids]})
    created = await site.client.post("/books/", json={"title": "t", "upload": [cover, *ids[:4]]})
    more = await site.client.post(f"{created.headers['location']}/pages", json={"upload": ids[4]})

    assert created.status_code == 201, created.text
    for answer in (refused, more):
        problem = problem_in(answer, 422, "too-many-files")
        assert (problem["limit"], problem["actual"]) == (4, 5)
    assert (await site.client.get(uploads[4]["url"])).json()["state"] == "complete"


@pytest.mark.parametrize("value", ["", [], "name", None, 7])
async def test_a_claim_of_nothing_is_no_file(site: Site, value: object) -> None:
    """JSON that has `upload` alone is a claim, whatever it names, and replaces nothing by itself."""
    location = (await site.upload()).headers["location"]
    answer = await site.client.put(f"{location}/file", json={"upload": value})

    problem_in(answer, 422, "invalid-fields" if value else "missing-file" if value is not None else "invalid-fields")
    assert (await site.client.get(f"{location}/file")).content == b"content"


async def test_a_row_whose_key_is_uploads(site: Site) -> None:
    """Its paths are its own, beside those of uploads."""
    upload = await send(site.client, at="/articles/uploads")
    created = await site.client.post("/articles/", data={"slug": "uploads", "upload": upload["id"]})
    again = await send(site.client, b"new", at="/articles/uploads")

    assert created.headers["location"] == "/articles/uploads"
    assert (await site.client.get("/articles/uploads/file")).content == b"content"
    replaced = await site.client.put("/articles/uploads/file", json={"upload": again["id"]})
    assert (replaced.status_code, (await site.client.get("/articles/uploads")).json()["file"]["size"]) == (200, 3)
    assert (await site.client.delete("/articles/uploads")).status_code == 204


async def test_a_column_takes_its_own_uploads_only(site: Site) -> None:
    """One that was begun for another column, or another model, is none."""
    album = (await site.client.post("/albums/", json={})).headers["location"]
    cover = await send(site.client, at="/albums/uploads")
    document = await send(site.client)
    answers = [
        await site.client.post(f"{album}/photos", json={"upload": cover["id"]}),
        await site.client.put(f"{album}/booklet", json={"upload": cover["id"]}),
        await site.client.put(f"{album}/file", json={"upload": document["id"]}),
        await site.client.get(f"/albums/uploads/{document['id']}"),
    ]

    for answer in answers:
        problem_in(answer, 404, "upload-not-found")
    assert (await site.client.put(f"{album}/file", json={"upload": cover["id"]})).status_code == 200
    assert await site.rows(Album) == 1


@EVERYWHERE
@pytest.mark.parametrize("body", ["json", "data"])
async def test_an_upload_replaces_a_file(site: Site, body: str) -> None:
    """The row has the new one, and the old one is gone."""
    location = (await site.upload(content=b"old")).headers["location"]
    upload = await send(site.client, b"new", filename="new.txt")
    fields: Any = {body: {"upload": upload["id"]}}
    replaced = await site.client.put(f"{location}/file", **fields)

    assert (replaced.status_code, replaced.json()["file"]["filename"]) == (200, "new.txt"), replaced.text
    assert (await site.client.get(f"{location}/file")).content == b"new"
    assert len(await site.keys()) == 1


FILES_OF_JSON = [b'{"upload": 1, "b": 2}', b'{"title": "t"}', b"[]", b'"upload"', b"{}", b"{", b'{"uploads": "x"}']


@pytest.mark.parametrize("content", FILES_OF_JSON)
async def test_any_other_json_is_a_file(site: Site, content: bytes) -> None:
    """Only an object that names uploads, and nothing else, is no file; in a form even that is one."""
    location = (await site.upload()).headers["location"]
    json = {"Content-Type": "application/json"}
    raw = await site.client.put(f"{location}/file", content=content, headers=json)
    stored = (await site.client.get(f"{location}/file")).content
    by_form = b'{"upload": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}'
    form = await site.client.put(f"{location}/file", files={"file": ("a.json", by_form, "application/json")})

    assert (raw.status_code, stored) == (200, content)
    assert (form.status_code, (await site.client.get(f"{location}/file")).content) == (200, by_form)


async def test_a_large_json_is_a_file(site: Site) -> None:
    """What is longer than any list of ids is a file, whatever is in it."""
    location = (await site.upload()).headers["location"]
    content = b'{"upload": "%b"}' % (b"a" * 20_000)
    answer = await site.client.put(f"{location}/file", content=content, headers={"Content-Type": "application/json"})

    assert (answer.status_code, answer.json()["file"]["size"]) == (200, len(content))


async def test_what_is_not_stored_is_not_taken(site: Site) -> None:
    """Bytes that never came, or are fewer than announced, are a conflict, and the upload stays open."""
    nothing, larger = await begin(site.client, size=5), await begin(site.client)
    right = await begin(site.client, size=7)
    await put(site.client, larger)
    refused = [
        await site.client.post("/documents/", json={"title": "t", "upload": nothing["id"]}),
        await site.client.post(f"{nothing['url']}/complete"),
    ]
    too_long = await put(site.client, right, b"content and more")

    for answer in refused:
        assert problem_in(answer, 409, "upload-incomplete")["size"] == 5
    assert problem_in(too_long, 413, "upload-too-large")["limit"] == 7
    assert (await put(site.client, nothing, b"bytes")).status_code == 201
    assert (await site.client.post("/documents/", json={"title": "t", "upload": nothing["id"]})).status_code == 201
    assert (await put(site.client, right, b"short")).status_code == 201
    short = await site.client.post("/documents/", json={"title": "u", "upload": right["id"]})
    problem = problem_in(short, 409, "upload-incomplete")
    assert (problem["received"], problem["size"]) == (5, 7)


async def test_one_that_is_named_twice(site: Site) -> None:
    """It is a mistake, and no row gets it."""
    upload = await send(site.client, at="/albums/uploads", field="photos")
    album = (await site.client.post("/albums/", json={})).headers["location"]
    bodies: list[Any] = [{"json": {"upload": [upload["id"]] * 2}}, {"data": {"upload": ",".join([upload["id"]] * 2)}}]
    for body in bodies:
        answer = await site.client.post(f"{album}/photos", **body)

        assert problem_in(answer, 422, "invalid-fields")["errors"][0]["loc"] == ["upload"]
    assert (await site.client.get(upload["url"])).status_code == 200


async def test_too_many_ids(site: Site) -> None:
    """A request names a hundred uploads at most."""
    ids = [f"{number:032}" for number in range(101)]
    bodies: list[Any] = [{"json": {"title": "t", "upload": ids}}, {"data": {"title": "t", "upload": ",".join(ids)}}]
    for body in bodies:
        answer = await site.client.post("/documents/", **body)

        problem_in(answer, 422, "invalid-fields")
    assert (await site.client.post("/documents/", json={"title": "t", "upload": ids[1:]})).status_code == 404


async def test_a_row_that_can_not_be_written_leaves_its_upload(site: Site) -> None:
    """A conflict, a wrong value and a missing field leave it complete, for the next try."""
    await site.upload(title="taken")
    upload = await send(site.client)
    wrong: list[tuple[int, dict[str, Any]]] = [
        (409, {"title": "taken"}),
        (422, {"title": "x" * 41}),
        (422, {}),
        (422, {"title": "t", "day": "x"}),
    ]
    for status, values in wrong:
        answer = await site.client.post("/documents/", json=values | {"upload": upload["id"]})
        await site.check()

        assert answer.status_code == status, answer.text
    assert (await site.client.get(upload["url"])).json()["state"] == "complete"
    assert (await site.client.post("/documents/", json={"title": "t", "upload": upload["id"]})).status_code == 201


async def test_an_upload_is_ended(site: Site) -> None:
    """Begun, stored or complete, it goes with what it holds, and no row takes it afterwards."""
    begun, stored, complete = await begin(site.client), await send(site.client), await send(site.client)
    state = (await site.client.post(f"{complete['url']}/complete")).json()
    again = (await site.client.post(f"{complete['url']}/complete")).json()
    ended = [await site.client.delete(upload["url"]) for upload in (begun, stored, complete)]

    assert state == again
    assert (state["state"], state["received"]) == ("complete", 7)
    assert [answer.status_code for answer in ended] == [204] * 3
    for upload in (begun, stored, complete):
        problem_in(await site.client.delete(upload["url"]), 404, "upload-not-found")
        answer = await site.client.post("/documents/", json={"title": "t", "upload": upload["id"]})
        problem_in(answer, 404, "upload-not-found")
    await site.check_empty()


async def test_a_row_with_an_upload_is_deleted(site: Site) -> None:
    """Its file goes like any other, and the upload is remembered all the same; nobody is sent to where the row was."""
    upload, other = await send(site.client), (await site.upload(title="other")).headers["location"]
    location = (await site.client.post("/documents/", json={"title": "t", "upload": upload["id"]})).headers["location"]
    assert (await site.client.delete(location)).status_code == 204
    again = [
        await site.client.post("/documents/", json={"title": "u", "upload": upload["id"]}),
        await site.client.put(f"{other}/file", json={"upload": upload["id"]}),
        await site.client.post(f"{upload['url']}/complete"),
    ]

    assert len(await site.keys()) == 1
    for answer in again:
        problem = problem_in(answer, 409, "upload-claimed")
        assert (problem.get("location"), answer.headers.get("location")) == (None, None)
        assert "is gone by now" in problem["detail"]


async def test_books_take_their_own(site: Site) -> None:
    """A column's own rules hold at the announcement: its types, and its size."""
    wrong = await site.client.post("/books/uploads", json={"filename": "a.png", "content_type": "image/png"})
    large = await site.client.post("/books/uploads", json={"filename": "a", "size": 6, "field": "back"})
    unknown = await site.client.post("/books/uploads", json={"filename": "a", "field": "title"})

    problem_in(wrong, 415, "unsupported-upload")
    assert problem_in(large, 413, "upload-too-large")["limit"] == 5
    assert "cover, back, pages" in problem_in(unknown, 422, "invalid-fields")["errors"][0]["msg"]
    assert await site.rows(Book) == 0
