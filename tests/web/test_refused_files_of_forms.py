"""Which file of a form is refused: its field is named, and in a field of several its name and position."""

from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastapi_filestore import FileObject, Filestore, UploadError, Uploads
from fastapi_filestore.errors import FilePlace
from fastapi_filestore.intake.validators import Described
from tests.web.books import COVER, page, print_book, site
from tests.web.conftest import Serve
from tests.web.models import Book
from tests.web.site import Site, problem_in

__all__ = ["site"]

Parts = list[Any]
GIF = ("pages", ("b.gif", b"GIF89a", "image/gif"))
BACK = ("back", ("b.txt", b"longer"))
SPINE = ("spine", ("s.txt", b"s"))

REFUSED: dict[str, tuple[Parts, str, dict[str, object]]] = {
    "size": ([COVER, page("1"), BACK], "upload-too-large", {"field": "back", "filename": "b.txt", "limit": 5}),
    "type": ([page("1"), ("cover", GIF[1])], "unsupported-upload", {"field": "cover", "filename": "b.gif"}),
    "name": ([COVER, ("back", ("", b"bytes"))], "missing-file", {"field": "back"}),
    "none": ([page("1")], "missing-file", {"field": "cover"}),
    "twice": ([COVER, COVER], "too-many-files", {"field": "cover", "filename": "cover.txt", "limit": 1}),
    "many": (
        [page("0"), COVER, *map(page, "1234")],
        "too-many-files",
        {"field": "pages", "filename": "4.txt", "position": 4, "limit": 4, "actual": 5},
    ),
    "other": ([COVER, SPINE], "missing-file", {"field": "spine", "filename": "s.txt"}),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_a_form_of_several_fields(site: Site, case: str) -> None:
    """The members and the text of the problem say which of its files it is about, and nothing is kept."""
    parts, kind, members = REFUSED[case]

    response = await site.client.post("/books/", files=parts, data={"title": "t"})

    problem = problem_in(response, response.status_code, kind)
    places = {name: problem.get(name) for name in ("field", "filename", "position")}
    assert {**problem, **members} == problem
    assert places == {name: members.get(name) for name in places}
    assert all(f"{value!r}" in problem["detail"] for value in places.values() if value is not None)
    assert await site.rows(Book) == 0
    assert await site.keys() == set()


async def test_files_added_to_a_list(site: Site) -> None:
    """The position is that in the form; a list that would be too long is named, too."""
    await print_book(site, "one")

    many = await site.client.post("/books/1/pages", files=[page(text) for text in "12345"])
    full = await site.client.post("/books/1/pages", files=[page(text) for text in "1234"])
    other = await site.client.post("/books/1/pages", files=[page("1"), SPINE])

    assert problem_in(many, 422, "too-many-files")["position"] == 4
    assert problem_in(full, 422, "too-many-files")["field"] == "pages"
    assert problem_in(other, 422, "missing-file")["field"] == "spine"


async def test_one_file_needs_no_place(site: Site) -> None:
    """Where a request has one file, its refusal is what it was."""
    await print_book(site)

    problem = problem_in(await site.client.put("/books/1/back", files=[BACK]), 413, "upload-too-large")

    assert problem["detail"] == "The file has about 6 bytes; the limit is 5 bytes."
    assert not {"field", "filename", "position"} & problem.keys()


class NoSwearing:
    """A validator of a user's own."""

    async def validate(self, head: bytes, upload: Described) -> None:
        """Refuse a word."""
        if b"damn" in head:
            raise UploadError("It has a bad word.")


def gallery(app: FastAPI, files: Filestore) -> None:
    """Serve a route of the application's own that takes several files in one field."""
    app.exception_handlers.update(files.exception_handlers)
    letters = files.uploads(max_files=3, max_size=9, field="letters", validators=[NoSwearing()])

    @app.post("/letters")
    async def post(uploads: Annotated[Uploads, Depends(letters)]) -> list[str]:
        return [(await FileObject.of(upload).save_async()).filename async for upload in uploads]


async def test_routes_of_your_own(serve: Serve) -> None:
    """The file is named whether its size, a validator, its field or the number of files is what is wrong."""
    ok = ("letters", ("a.txt", b"dear"))
    async with serve(build=gallery) as site:
        for second, kind, position in (
            (("letters", ("b.txt", b"damn you")), "invalid-upload", 1),
            (("letters", ("b.txt", b"far too long")), "upload-too-large", 1),
            (("cards", ("b.txt", b"dear")), "missing-file", None),
        ):
            response = await site.client.post("/letters", files=[ok, second])
            problem = problem_in(response, response.status_code, kind)
            assert (problem["field"], problem["filename"], problem.get("position")) == (second[0], "b.txt", position)
        many = problem_in(await site.client.post("/letters", files=[ok] * 4), 422, "too-many-files")
        assert (many["field"], many["position"], many["limit"]) == ("letters", 3, 3)


@given(st.text(max_size=400), st.text(max_size=400), st.none() | st.integers(0, 99))
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_texts_of_clients_are_quoted(field: str, filename: str, position: int | None) -> None:
    """Neither a line break nor a name of many characters gets into a message, and its own text stays."""
    error = UploadError("It has a bad word.")

    error.locate(FilePlace(field, filename, position))

    assert str(error).isprintable()
    assert str(error).endswith(": It has a bad word.")
    assert len(str(error)) < 2100
    assert error.place == FilePlace(field, filename, position)
