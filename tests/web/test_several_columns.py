"""Models with several file columns: each at an address of its own, all of them in one form."""

from typing import Any

import pytest

from tests.web.books import COVER, page, print_book, site
from tests.web.models import Album, Book
from tests.web.site import Site, problem_in

__all__ = ["site"]


async def test_each_column_is_served_by_its_name(site: Site) -> None:
    """The first column of one file is also at /file, and every file of the answer has a URL that serves it."""
    book = await print_book(site, "one")
    await site.client.put("/books/1/back", files={"back": ("b.txt", b"back")})

    book = (await site.client.get("/books/1")).json()
    urls = [book["cover"]["url"], book["back"]["url"], book["pages"][0]["url"], "/books/1/cover"]
    assert urls[:2] == ["/books/1/file", "/books/1/back"]
    assert [(await site.client.get(url)).text for url in urls] == ["cover", "back", "one", "cover"]
    assert [(await site.client.head(url)).headers["Content-Length"] for url in urls] == ["5", "4", "3", "5"]
    assert "id" not in book["cover"]


async def test_one_of_many_files_is_refused(site: Site) -> None:
    """Nothing of the form is left behind, whichever part is wrong and wherever it stands."""
    wrong: list[tuple[list[Any], int, str]] = [
        ([COVER, page("one"), ("back", ("b.txt", b"longer"))], 413, "upload-too-large"),
        ([page("one"), ("cover", ("c.png", b"\x89PNG", "image/png"))], 415, "unsupported-upload"),
        ([page("one"), COVER, COVER], 422, "too-many-files"),
        ([COVER, *map(page, "12345")], 422, "too-many-files"),
        ([COVER, page("one"), ("spine", ("s.txt", b"s"))], 422, "missing-file"),
        ([page("one")], 422, "missing-file"),
    ]
    for parts, status, kind in wrong:
        response = await site.client.post("/books/", files=parts, data={"title": "t"})
        problem_in(response, status, kind)
    problem_in(await site.client.post("/books/", files=[COVER, page("one")]), 422, "invalid-fields")

    assert await site.rows(Book) == 0
    assert await site.keys() == set()


async def test_a_file_that_is_needed_is_named(site: Site) -> None:
    """Neither a form without it, nor JSON, nor a body that is no form makes a row."""
    form = await site.client.post("/books/", files=[page("one")], data={"title": "t"})
    json = await site.client.post("/books/", json={"title": "t"})

    assert problem_in(form, 422, "missing-file")["field"] == "cover"
    assert problem_in(json, 422, "missing-file")["field"] == "cover"
    assert await site.rows(Book) == 0


@pytest.mark.parametrize(
    "body",
    [
        {"json": {}},
        {"data": {"cover": ""}},
        {"data": {"unknown": "x"}},
        {"data": {"unknown": "x"}, "files": {"cover": ("", b"")}},
    ],
)
async def test_rows_without_files(site: Site, body: dict[str, Any]) -> None:
    """JSON, or a form whose file inputs were left empty, makes a row where every column may be empty."""
    response = await site.client.post("/albums/", **body)

    assert response.status_code == 201, response.text
    assert response.json() == {"id": 1, "cover": None, "booklet": None, "photos": None}
    problem_in(await site.client.get("/albums/1/cover"), 404, "file-not-set")


async def test_json_that_names_a_file(site: Site) -> None:
    """No client can point a column at an object by JSON."""
    response = await site.client.post("/albums/", json={"cover": {"backend": "web", "path": "x"}})

    problem_in(response, 422, "invalid-fields")
    assert await site.rows(Album) == 0


@pytest.mark.parametrize(
    ("value", "ways"),
    [
        ({"cover": {"filename": "x"}}, ["PUT .../file"]),
        ({"back": None}, ["PUT .../back", "DELETE .../back"]),
        ({"pages": None}, ["POST .../pages", "DELETE .../pages/{id}"]),
        ({"pages": [{"filename": "x"}]}, ["POST .../pages", "PUT or DELETE .../pages/{id}"]),
        ({"pages": ["no id"]}, ["POST .../pages", "ids of its files"]),
    ],
)
async def test_a_patch_that_names_a_file(site: Site, value: dict[str, Any], ways: list[str]) -> None:
    """The answer says which requests change a file, or the files of a list."""
    await print_book(site, "one")

    problem = problem_in(await site.client.patch("/books/1", json=value), 422, "invalid-fields")

    assert all(way in problem["detail"] and way in problem["errors"][0]["msg"] for way in ways)
    assert problem["errors"][0]["loc"][0] in value


async def test_an_empty_column_is_filled_and_cleared(site: Site) -> None:
    """PUT and DELETE honour conditions; the bytes go with the file, and the row stays."""
    await site.client.post("/albums/", json={})
    await site.client.put("/albums/1/booklet", files={"booklet": ("b.txt", b"b")})
    tag = (await site.client.head("/albums/1/booklet")).headers["ETag"]

    late = await site.client.delete("/albums/1/booklet", headers={"If-Match": '"other"'})
    problem_in(late, 412, "precondition-failed")
    assert (await site.client.delete("/albums/1/booklet", headers={"If-Match": tag})).status_code == 204
    assert (await site.client.get("/albums/1")).json()["booklet"] is None
    assert await site.keys() == set()


async def test_a_needed_file_can_not_be_cleared(site: Site) -> None:
    """The answer says what else there is."""
    await print_book(site)

    response = await site.client.delete("/books/1/cover")

    assert "replace it with PUT" in problem_in(response, 422, "invalid-fields")["detail"]
    assert (await site.client.get("/books/1/cover")).text == "cover"


async def test_text_is_no_file(site: Site) -> None:
    """A text where a file is taken is refused, though there need be none."""
    response = await site.client.post("/albums/", data={"cover": "text"}, files={"booklet": ("b.txt", b"b")})

    assert problem_in(response, 422, "missing-file")["field"] == "cover"
    assert await site.keys() == set()


async def test_a_form_that_can_hold_no_files(site: Site) -> None:
    """It is within the limits of any form, and no way to a row that needs a file."""
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    bodies = {b"a=1&a=2": 422, b"a=%ff": 400, b"&".join(b"f%d=" % n for n in range(200)): 400, b"cover=text": 422}
    for body, status in bodies.items():
        assert (await site.client.post("/albums/", content=body, headers=kind)).status_code == status
    assert (await site.client.post("/books/", data={"title": "t"})).status_code == 415
    assert await site.rows(Album) == 0


async def test_no_body_is_no_file(site: Site) -> None:
    """A request without a body adds no empty file."""
    await site.client.post("/albums/", json={})

    problem_in(await site.client.post("/albums/1/photos"), 422, "missing-file")
    assert await site.keys() == set()
