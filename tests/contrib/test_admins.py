"""Files on the pages of admins: uploaded, kept, replaced, cleared, listed and downloaded."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.contrib.admins import ADMINS, EMPTY, File, Pages, running
from tests.contrib.people import last_person, stored


@pytest.fixture(params=["sync", "async"])
def engine(request: pytest.FixtureRequest) -> str:
    """The kind of engine."""
    return str(request.param)


@pytest.fixture(params=list(ADMINS))
async def pages(request: pytest.FixtureRequest, engine: str, tmp_path: Path) -> AsyncIterator[Pages]:
    """The pages of an application with an admin."""
    admin = ADMINS[request.param]
    async with running(admin, tmp_path, is_async=engine == "async") as app, Pages(app, admin, tmp_path) as pages:
        await pages.open()
        yield pages


async def test_create(pages: Pages) -> None:
    """A form stores its files with the row."""
    answer = await pages.create()

    row = last_person(pages.folder)
    assert answer.status_code == 200
    assert (row.photo.filename, row.letter) == ("a.txt", None)
    assert [file.filename for file in row.certificates] == ["one.txt", "two.txt"]
    assert stored(pages.folder) == {"photo", "one", "two"}


async def test_empty_inputs_keep(pages: Pages) -> None:
    """A form whose inputs are empty keeps every file, and so does one without them."""
    await pages.create()
    before = last_person(pages.folder)
    first = await pages.edit(data={"name": "Bea"})
    second = await pages.post(pages.admin.url("edit"), data={"name": "Eve"})

    row = last_person(pages.folder)
    assert (first.status_code, second.status_code, row.name) == (200, 200, "Eve")
    assert (row.photo, row.certificates) == (before.photo, before.certificates)
    assert stored(pages.folder) == {"photo", "one", "two"}


async def test_replace_and_add(pages: Pages) -> None:
    """A new file replaces that of a single column, and is added to a list; the old bytes go."""
    await pages.create()
    answer = await pages.edit(
        photo=("b.txt", b"new", "text/plain"),
        letter=("l.txt", b"letter", "text/plain"),
        certificates=("three.txt", b"three", "text/plain"),
    )

    row = last_person(pages.folder)
    assert answer.status_code == 200
    assert (row.photo.filename, row.letter and row.letter.filename) == ("b.txt", "l.txt")
    assert [file.filename for file in row.certificates] == ["one.txt", "two.txt", "three.txt"]
    assert stored(pages.folder) == {"new", "letter", "one", "two", "three"}


async def test_remove(pages: Pages) -> None:
    """A ticked box clears a column that may be empty, and takes one file from a list."""
    await pages.create(letter=("l.txt", b"letter", "text/plain"))
    letter, (letter_key,) = await pages.boxes("letter")
    certificates, (first, _) = await pages.boxes("certificates")
    photo, no_boxes = await pages.boxes("photo")
    answer = await pages.edit(data={letter: letter_key, certificates: first, photo: "on"})

    row = last_person(pages.folder)
    assert (answer.status_code, no_boxes) == (200, [])
    assert (row.photo.filename, row.letter) == ("a.txt", None)
    assert [file.filename for file in row.certificates] == ["two.txt"]
    assert stored(pages.folder) == {"photo", "two"}


async def test_remove_and_add(pages: Pages) -> None:
    """One form takes a file from a list and adds another, and replaces a file although its box is ticked."""
    await pages.create(letter=("l.txt", b"letter", "text/plain"))
    certificates, (_, second) = await pages.boxes("certificates")
    letter, (letter_key,) = await pages.boxes("letter")
    await pages.edit(
        data={certificates: second, letter: letter_key},
        certificates=("three.txt", b"three", "text/plain"),
        letter=("m.txt", b"other", "text/plain"),
    )

    assert [file.filename for file in last_person(pages.folder).certificates] == ["one.txt", "three.txt"]
    assert stored(pages.folder) == {"photo", "one", "three", "other"}


async def test_remove_all(pages: Pages) -> None:
    """The box of the admin's own, which names no file, takes all from a list."""
    await pages.create()
    answer = await pages.edit(data={pages.admin.box.format("certificates"): "on"})

    assert (answer.status_code, last_person(pages.folder).certificates) == (200, [])
    assert stored(pages.folder) == {"photo"}


async def test_remove_what_is_gone(pages: Pages) -> None:
    """A page that was opened before somebody else removed a file removes no other one."""
    await pages.create()
    name, (first, _) = await pages.boxes("certificates")
    for _ in range(2):
        await pages.edit(data={name: first})

    assert [file.filename for file in last_person(pages.folder).certificates] == ["two.txt"]


async def test_links(pages: Pages) -> None:
    """The list and the page of a row link to files, which are downloads."""
    await pages.create()
    for page in ("list", "details"):
        links = await pages.links(page)
        answers = [await pages.get(url) for url, _ in links]

        assert [name for _, name in links] == ["a.txt", "one.txt", "two.txt"]
        assert [answer.text for answer in answers] == ["photo", "one", "two"]
        assert 'filename="one.txt"' in answers[1].headers["content-disposition"]
        assert not any(str(last_person(pages.folder).photo.path) in url for url, _ in links)


async def test_no_such_file(pages: Pages) -> None:
    """A link to no file, to no row and to a column without files is 404."""
    await pages.create()
    (url, _), *_ = await pages.links("list")
    wrong = [url.replace("/photo/", "/name/"), url.replace("/photo/", "/letter/"), url[:-1] + "7", url[:-1] + "x"]
    answers = [await pages.get(link) for link in wrong]

    assert [answer.status_code for answer in answers] == [404] * 4


async def test_conditions(pages: Pages) -> None:
    """A download answers conditions and ranges as elsewhere, those that fail included."""
    await pages.create()
    (url, _), *_ = await pages.links("list")
    sent = [{"Range": "bytes=1-2"}, {"Range": "bytes=99-"}, {"If-Match": '"other"'}]
    answers = [await pages.get(url, headers=headers) for headers in sent]

    assert [answer.status_code for answer in answers] == [206, 416, 412]
    assert answers[0].text == "ho"


@pytest.mark.parametrize(
    ("photo", "words"),
    [(("a.pdf", b"%PDF-1.7", "application/pdf"), "application/pdf"), (EMPTY, "Choose a file")],
    ids=["wrong type", "missing"],
)
async def test_refused(photo: File, words: str, pages: Pages) -> None:
    """A file that its column refuses, or that is missing, is told on the page, and nothing is stored."""
    answer = await pages.create(photo=photo)

    assert (answer.status_code // 100, words in answer.text) == (4, True)
    assert stored(pages.folder) == set()


async def test_refused_edit(pages: Pages) -> None:
    """An edit that is refused shows the files that are there, and leaves them; so does one that then succeeds."""
    await pages.create()
    answer = await pages.edit(
        photo=("a.pdf", b"%PDF-1.7", "application/pdf"), certificates=("three.txt", b"three", "text/plain")
    )

    assert (answer.status_code // 100, "application/pdf" in answer.text) == (4, True)
    assert all(name in answer.text for name in ("a.txt", "one.txt", "two.txt"))
    assert "required" not in answer.text.partition('name="photo"')[2].partition(">")[0]
    assert stored(pages.folder) == {"photo", "one", "two"}


async def test_hostile_name(pages: Pages) -> None:
    """A filename is text on every page."""
    await pages.create(photo=("<img src=x onerror=alert(1)>.txt", b"x", "text/plain"))

    for page in ("list", "details", "edit"):
        text = (await pages.get(pages.admin.url(page))).text
        assert "<img src=x" not in text
        assert "&lt;img src=x" in text
