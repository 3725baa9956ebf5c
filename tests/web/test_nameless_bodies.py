"""Name a file that is a body of its own, and comes without a name, after the one that it replaces if that fits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_filestore.intake.nameless import Replaced, name_of_body
from fastapi_filestore.intake.names import MEDIA_TYPE, guess_content_type
from tests.web.books import print_book, site
from tests.web.site import Site

__all__ = ["site"]


@pytest.mark.parametrize(
    ("old", "declared", "name"),
    [
        (("cv.pdf", "application/pdf"), "application/pdf", "cv.pdf"),
        (("cv.pdf", "application/octet-stream"), "application/pdf; version=1.7", "cv.pdf"),
        (("cv.PDF", "application/pdf"), "Application/PDF", "cv.PDF"),
        (("photo.jpeg", "image/jpeg"), "image/jpeg", "photo.jpeg"),
        (("cv.pdf", "application/pdf"), "image/png", "file.png"),
        (("README", "text/plain"), "text/plain; charset=utf-8", "README"),
        (("README", "text/plain"), "application/pdf", "file.pdf"),
        (("cv.pdf", "application/pdf"), "application/octet-stream", "file"),
        (("cv.pdf", "application/pdf"), None, "file"),
        (None, "text/plain", "file.txt"),
        (None, "image/jpeg", "file.jpg"),
        (None, "application/x-nobody-knows", "file"),
        (None, "nonsense", "file"),
    ],
)
def test_the_name(old: tuple[str, str] | None, declared: str | None, name: str) -> None:
    """The old name stays where its ending, or without one its type, is of the type that is declared."""
    assert name_of_body(declared, old and Replaced(*old)) == name


@given(st.from_regex(MEDIA_TYPE) | st.sampled_from(["text/html", "image/gif", "video/mp4", "a/b"]))
def test_an_ending_suggests_its_type(declared: str) -> None:
    """No name says anything else than the client did."""
    name = name_of_body(declared, None)

    assert name == "file" or guess_content_type(name) == declared.partition(";")[0].strip().lower()


async def test_a_file_that_is_replaced(site: Site) -> None:
    """PUT keeps the name of the same kind of file, in lists as well; what the client calls it goes first."""
    book = await print_book(site, "one")
    text = {"Content-Type": "text/plain"}
    page_url = book["pages"][0]["url"]

    kept = await site.client.put("/books/1/cover", content=b"new", headers=text)
    listed = await site.client.put(page_url, content=b"new", headers={"Content-Type": "image/png"})
    first = await site.client.put("/books/1/back", content=b"new", headers=text)
    named = {**text, "Content-Disposition": 'attachment; filename="other.txt"'}
    told = await site.client.put("/books/1/cover", content=b"new", headers=named)
    added = await site.client.post("/books/1/pages", content=b"new", headers=text)

    assert kept.json()["cover"]["filename"] == "cover.txt"
    assert listed.json()["pages"][0]["filename"] == "file.png"
    assert first.json()["back"]["filename"] == "file.txt"
    assert told.json()["cover"]["filename"] == "other.txt"
    assert added.json()["pages"][-1]["filename"] == "file.txt"
