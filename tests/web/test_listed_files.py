"""Columns of several files behind the router: listed, added, replaced, removed, put in order, as an archive."""

import asyncio
from io import BytesIO
from typing import Any
from zipfile import ZipFile

import pytest

from tests.web.books import names, page, print_book, site
from tests.web.site import Site, problem_in

__all__ = ["site"]


async def test_files_of_a_list_are_found_by_id_and_position(site: Site) -> None:
    """Both serve the same bytes, with conditions and ranges; what is not there is not found."""
    pages = (await print_book(site, "one", "two"))["pages"]

    listed = (await site.client.get("/books/1/pages")).json()
    assert listed == pages
    assert [len(file["id"]) for file in listed] == [22, 22]
    for place in (listed[1]["id"], "1"):
        found = await site.client.get(f"/books/1/pages/{place}", headers={"Range": "bytes=1-"})
        assert (found.status_code, found.text) == (206, "wo")
        tag = {"If-None-Match": found.headers["ETag"]}
        assert (await site.client.head(f"/books/1/pages/{place}", headers=tag)).status_code == 304
    for place in ("2", "-1", "x", "0" * 22, "\u0660", "9" * 21):
        problem_in(await site.client.get(f"/books/1/pages/{place}"), 404, "file-not-set")


async def test_files_are_added_to_the_end(site: Site) -> None:
    """Several come in one form, or one as the body itself; more than there is room for leave nothing behind."""
    await print_book(site, "one")

    added = await site.client.post("/books/1/pages", files=[page("two"), page("three")])
    assert added.status_code == 201
    assert names(added) == ["one.txt", "two.txt", "three.txt"]
    assert added.headers["Location"] == "/books/1/pages"
    too_many = await site.client.post("/books/1/pages", files=[page("four"), page("five")])
    assert problem_in(too_many, 422, "too-many-files")["actual"] == 5
    raw = {"Content-Type": "text/plain", "Content-Disposition": 'attachment; filename="4.txt"'}
    last = await site.client.post("/books/1/pages", content=b"four", headers=raw)
    assert names(last) == ["one.txt", "two.txt", "three.txt", "4.txt"]
    assert last.headers["Location"] == last.json()["pages"][3]["url"]
    problem_in(await site.client.post("/books/1/pages", files=[page("five")]), 422, "too-many-files")
    assert len(await site.keys()) == 5


async def test_files_that_are_added_at_once(site: Site) -> None:
    """None is lost, and no more are taken than the column holds."""
    await print_book(site)

    answers = await asyncio.gather(
        *(site.client.post("/books/1/pages", files=[page(text)]) for text in ("a", "b", "c", "d", "e"))
    )

    stored = {name for name, answer in zip("abcde", answers, strict=True) if answer.status_code == 201}
    assert len(stored) == 4
    assert {name[0] for name in names(await site.client.get("/books/1/pages"))} == stored
    assert len(await site.keys()) == 5


async def test_a_file_is_replaced_in_its_place(site: Site) -> None:
    """The new one has an id of its own, and the old bytes are gone."""
    first, second, third = (await print_book(site, "one", "two", "three"))["pages"]

    replaced = await site.client.put(second["url"], files=[page("new")])

    assert names(replaced) == ["one.txt", "new.txt", "three.txt"]
    ids = [file["id"] for file in replaced.json()["pages"]]
    assert (ids[0], ids[2]) == (first["id"], third["id"])
    problem_in(await site.client.get(second["url"]), 404, "file-not-set")
    problem_in(await site.client.put(second["url"], files=[page("late")]), 404, "file-not-set")
    assert len(await site.keys()) == 4


async def test_a_file_is_removed(site: Site) -> None:
    """Those behind it move up, and keep their ids."""
    first, second = (await print_book(site, "one", "two"))["pages"]

    assert (await site.client.delete(first["url"])).status_code == 204
    assert (await site.client.get("/books/1/pages")).json() == [second]
    assert (await site.client.get("/books/1/pages/0")).text == "two"
    problem_in(await site.client.delete(first["url"]), 404, "file-not-set")
    assert len(await site.keys()) == 2


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_a_position_is_for_reading(site: Site, method: str) -> None:
    """Whoever changes a file names it by its id."""
    await print_book(site, "one")

    response = await site.client.request(method, "/books/1/pages/0", content=b"x")

    assert "use its id" in problem_in(response, 405, "method-not-allowed")["detail"]
    assert response.headers["Allow"] == "GET, HEAD"


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_conditions_of_a_listed_file(site: Site, method: str) -> None:
    """Nothing is changed over a state that the client has not seen."""
    (file,) = (await print_book(site, "one"))["pages"]
    tag = (await site.client.head(file["url"])).headers["ETag"]
    form: dict[str, Any] = {"files": [page("new")]} if method == "PUT" else {}

    for condition in ({"If-Match": '"other"'}, {"If-None-Match": "*"}):
        problem_in(
            await site.client.request(method, file["url"], headers=condition, **form), 412, "precondition-failed"
        )
    done = await site.client.request(method, file["url"], headers={"If-Match": tag}, **form)
    assert done.status_code in {200, 204}


async def test_files_are_put_in_order(site: Site) -> None:
    """PATCH takes the ids, each once, together with other fields; anything else changes nothing."""
    first, second, third = [file["id"] for file in (await print_book(site, "1", "2", "3"))["pages"]]

    sorted_ = await site.client.patch("/books/1", json={"title": "new", "pages": [third, first, second]})
    assert (names(sorted_), sorted_.json()["title"]) == (["3.txt", "1.txt", "2.txt"], "new")
    for order in ([first], [first, first, second], [first, second, third, third], [first, second, "x" * 22], [], None):
        refused = await site.client.patch("/books/1", json={"title": "no", "pages": order})
        problem_in(refused, 422, "invalid-fields")
    unmatched = await site.client.patch("/books/1", json={"pages": [first, second, third]}, headers={"If-Match": '"x"'})
    problem_in(unmatched, 412, "precondition-failed")
    assert (await site.client.get("/books/1")).json() == sorted_.json()
    assert len(await site.keys()) == 4


async def test_the_longest_order(site: Site) -> None:
    """Any order that a list may have is read, beside all else that JSON may hold; one id more is refused unread."""
    await print_book(site, "1")
    spare = site.files.settings.max_json_values - 2  # the object and its list

    for ids, kind in ((3000, "not_an_order"), (spare + 5, "not_an_order"), (spare + 6, "too_many_values")):
        answer = await site.client.patch("/books/1", json={"pages": [f"{number:022}" for number in range(ids)]})
        assert problem_in(answer, 422, "invalid-fields")["errors"][0]["type"] == kind


async def test_a_list_as_an_archive(site: Site) -> None:
    """It has the files in their order, under names that differ; of no file it is empty."""
    await print_book(site, "same", "same")

    archive = await site.client.get("/books/1/pages.zip")

    assert archive.headers["Content-Type"] == "application/zip"
    with ZipFile(BytesIO(archive.content)) as opened:
        assert [opened.read(name) for name in opened.namelist()] == [b"same", b"same"]
        assert len(set(opened.namelist())) == 2
    head = await site.client.head("/books/1/pages.zip")
    assert head.headers["Content-Length"] == archive.headers["Content-Length"]
    problem_in(await site.client.get("/books/2/pages.zip"), 404, "row-not-found")


async def test_openapi_tells_of_all_routes(site: Site) -> None:
    """Each operation has an id of its own, and forms say which parts they take."""
    document = (await site.client.get("/openapi.json")).json()

    ids = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]
    assert len(ids) == len(set(ids))
    form = document["paths"]["/books/"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert sorted(form["required"]) == ["cover", "title"]
    assert form["properties"]["pages"] == {
        "type": "array",
        "items": {"type": "string", "format": "binary"},
        "minItems": 0,
        "maxItems": 4,
        "description": "At most 4 files.",
    }
    assert "application/json" in document["paths"]["/albums/"]["post"]["requestBody"]["content"]
    assert "application/json" not in document["paths"]["/books/"]["post"]["requestBody"]["content"]
