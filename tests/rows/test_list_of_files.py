"""Several files in a column: what counts is the set of objects before and after."""

import gc
from collections.abc import AsyncGenerator, Callable
from io import BytesIO
from typing import Any

import pytest
from fastapi import UploadFile
from sqlalchemy import select
from sqlalchemy.orm import Session

from fastapi_filestore import FileObject, PendingContentError, SharedFileError, UnsupportedContentError, Upload
from tests.rows.conftest import Rows, pending
from tests.rows.models import Document

Pages = list[FileObject]


def _named(*names: str) -> Pages:
    return [pending(name.encode(), name) for name in names]


async def _edit(rows: Rows, identity: int, edit: Callable[[Any], object]) -> list[str]:
    """Edit a document in a session of its own, and return the names that the next one sees."""
    async with rows.work() as work:
        await work.do(lambda s: edit(s.get_one(Document, identity)))
        await work.commit()
    async with rows.work() as work:
        pages = (await work.get(Document, identity)).pages
    return [page.filename for page in pages or []]


EDITS: dict[str, tuple[Callable[[Any], object], list[str]]] = {
    "append": (lambda d: d.pages.append(pending(b"d", "d")), ["a", "b", "c", "d"]),
    "insert": (lambda d: d.pages.insert(1, pending(b"d", "d")), ["a", "d", "b", "c"]),
    "extend": (lambda d: d.pages.extend(_named("d", "e")), ["a", "b", "c", "d", "e"]),
    "pop": (lambda d: d.pages.pop(0), ["b", "c"]),
    "remove": (lambda d: d.pages.remove(d.pages[1]), ["a", "c"]),
    "delete item": (lambda d: d.pages.__delitem__(2), ["a", "b"]),
    "set item": (lambda d: d.pages.__setitem__(0, pending(b"d", "d")), ["d", "b", "c"]),
    "set slice": (lambda d: d.pages.__setitem__(slice(0, 2), _named("d")), ["d", "c"]),
    "delete slice": (lambda d: d.pages.__delitem__(slice(1, None)), ["a"]),
    "sort": (lambda d: d.pages.sort(key=lambda f: f.filename, reverse=True), ["c", "b", "a"]),
    "reverse": (lambda d: d.pages.reverse(), ["c", "b", "a"]),
    "pop then append": (lambda d: d.pages.append(d.pages.pop(0)), ["b", "c", "a"]),
    "clear": (lambda d: d.pages.clear(), []),
    "assign": (lambda d: setattr(d, "pages", _named("d", "e")), ["d", "e"]),
    "assign reordered": (lambda d: setattr(d, "pages", [d.pages[2], d.pages[0]]), ["c", "a"]),
    "assign none": (lambda d: setattr(d, "pages", None), []),
}


@pytest.mark.parametrize("name", EDITS)
async def test_an_edit_keeps_what_the_list_holds_and_deletes_the_rest(rows: Rows, name: str) -> None:
    """However a list is edited, in place or by assignment, its objects are those it holds after the commit."""
    edit, expected = EDITS[name]
    identity = await rows.add(title="t", pages=_named("a", "b", "c"))

    assert await _edit(rows, identity, edit) == expected
    assert len(await rows.keys()) == len(expected)


@pytest.mark.parametrize("name", ["append", "pop", "set item", "clear", "assign"])
async def test_a_rolled_back_edit_changes_nothing(rows: Rows, name: str) -> None:
    """An edit that is flushed and rolled back leaves the objects and the list as they were."""
    identity = await rows.add(title="t", pages=_named("a", "b", "c"))
    before = await rows.keys()
    async with rows.work() as work:
        await work.do(lambda s: EDITS[name][0](s.get_one(Document, identity)))
        await work.flush()
        await work.rollback()

    assert await rows.keys() == before
    assert await _edit(rows, identity, lambda document: None) == ["a", "b", "c"]


async def test_a_list_takes_an_iterable_of_files_only(rows: Rows) -> None:
    """A single file, a dict or a text is no list of files."""
    for wrong in (pending(), {"a": 1}, "text", b"bytes", [b"bytes"], 5):
        with pytest.raises(UnsupportedContentError):
            Document(title="t", pages=wrong)


GIVEN: dict[str, Callable[[Any, list[Any]], object]] = {
    "append": lambda pages, given: [pages.append(item) for item in given],
    "insert": lambda pages, given: [pages.insert(len(pages), item) for item in given],
    "extend": lambda pages, given: pages.extend(iter(given)),
    "+=": lambda pages, given: pages.__iadd__(given),
    "slice": lambda pages, given: pages.__setitem__(slice(1, None), given),
}


@pytest.mark.parametrize("name", GIVEN)
async def test_a_list_takes_what_assignment_takes(rows: Rows, name: str) -> None:
    """Files and uploads of either kind come into a list in place as they do by assignment."""
    identity = await rows.add(title="t", pages=_named("a"))

    def put(document: Any) -> None:
        upload = UploadFile(BytesIO(b"b"), filename="b")
        GIVEN[name](document.pages, [upload, Upload(_chunks(b"c"), filename="c"), pending(b"d", "d")])

    assert await _edit(rows, identity, put) == ["a", "b", "c", "d"]


async def _chunks(content: bytes) -> AsyncGenerator[bytes, None]:
    yield content


@pytest.mark.parametrize("name", GIVEN)
def test_a_list_takes_nothing_else(name: str) -> None:
    """What is no file is refused at once, and leaves the list as it was."""
    document: Any = Document(title="t", pages=_named("a"))
    for wrong in ([None], [b"bytes"], ["text"]):
        with pytest.raises(UnsupportedContentError):
            GIVEN[name](document.pages, wrong)

    assert [page.filename for page in document.pages] == ["a"]


async def test_an_item_takes_what_assignment_takes(rows: Rows) -> None:
    """An upload in the place of a file is one, and what is no file is refused."""
    identity = await rows.add(title="t", pages=_named("a", "b"))

    def put(document: Any) -> None:
        document.pages[0] = UploadFile(BytesIO(b"c"), filename="c")
        with pytest.raises(UnsupportedContentError):
            document.pages[1] = b"bytes"

    assert await _edit(rows, identity, put) == ["c", "b"]


async def test_changed_metadata_of_a_file_is_a_change(rows: Rows) -> None:
    """Metadata changed in place is written with the next commit, of one file and of a list's files."""
    identity = await rows.add(title="t", file=pending(), pages=_named("a", "b"))

    def describe(session: Session) -> None:
        document = session.get_one(Document, identity)
        assert document.file is not None
        assert document.pages is not None
        document.file.metadata["k"] = "v"
        document.pages[1].metadata.update(n="1")

    async with rows.work() as work:
        await work.do(describe)
        await work.commit()
    async with rows.work() as work:
        document = await work.get(Document, identity)

    assert document.file is not None
    assert document.pages is not None
    assert (document.file.metadata, document.pages[1].metadata) == ({"k": "v"}, {"n": "1"})


async def test_a_renamed_file_is_a_change(rows: Rows) -> None:
    """Name and type set in place are written with the next commit, and the bytes stay where they are."""
    identity = await rows.add(title="t", file=pending(), pages=_named("a", "b"))
    keys = await rows.keys()

    def rename(session: Session) -> None:
        document = session.get_one(Document, identity)
        assert document.file is not None
        assert document.pages is not None
        document.file.filename = "renamed.txt"
        document.pages[1].content_type = "application/pdf"

    async with rows.work() as work:
        await work.do(rename)
        await work.commit()
    async with rows.work() as work:
        document = await work.get(Document, identity)

    assert document.file is not None
    assert document.pages is not None
    assert (document.file.filename, document.pages[1].content_type) == ("renamed.txt", "application/pdf")
    assert await rows.keys() == keys


async def test_metadata_changed_again_after_a_commit_is_a_change(rows: Rows) -> None:
    """A file that was new in this session is watched after its commit, too."""
    async with rows.work(expire_on_commit=False) as work:
        document = Document(title="t", file=pending())
        await work.add(document)
        await work.commit()
        assert document.file is not None
        document.file.metadata = {"k": "v"}
        await work.commit()
        await work.refresh(document)

    assert document.file.metadata == {"k": "v"}


async def test_one_file_in_two_rows_is_refused(rows: Rows) -> None:
    """A stored file belongs to one row: a second one is refused at the commit, and a copy is the remedy."""
    identity = await rows.add(title="1", file=pending(b"x"))
    async with rows.work() as work:
        file = (await work.get(Document, identity)).file
        assert file is not None
        await work.add(Document(title="2", file=file))
        with pytest.raises(SharedFileError, match="copy_async"):
            await work.commit()
        await work.rollback()
        twin = await file.copy_async()
        await work.add(Document(title="2", file=twin))
        await work.commit()

    assert len(await rows.keys()) == 2


async def test_one_new_file_in_two_places_is_refused(rows: Rows) -> None:
    """A pending file given to two rows, or to two columns of one, is refused and leaves nothing."""
    file = pending()
    async with rows.work() as work:
        await work.add(Document(title="1", file=file, pages=[file]))
        with pytest.raises(SharedFileError):
            await work.commit()
        await work.rollback()

    assert await rows.keys() == set()


async def test_a_file_moves_between_columns(rows: Rows) -> None:
    """A file taken out of one column and put into another of the same row lives on."""
    identity = await rows.add(title="t", file=pending(b"x", "x"), pages=[])

    def move(session: Session) -> None:
        document = session.get_one(Document, identity)
        assert document.file is not None
        document.pages, document.file = [document.file], None

    async with rows.work() as work:
        await work.do(move)
        await work.commit()

    assert len(await rows.keys()) == 1


async def test_a_list_whose_row_is_gone_can_be_told_nothing(rows: Rows) -> None:
    """Pages that nobody would store are an error, whether the row is gone or has another list by now."""
    identity = await rows.add(title="a", pages=_named("a"))

    def append_to_lost(session: Session) -> None:
        pages: Any = session.get_one(Document, identity).pages
        gc.collect()
        pages.append(pending())

    def append_to_old(session: Session) -> None:
        document = session.get_one(Document, identity)
        pages: Any = document.pages
        session.refresh(document)
        pages.append(pending())

    async with rows.work() as work:
        for append in (append_to_lost, append_to_old):
            with pytest.raises(PendingContentError, match="keep the row in a name"):
                await work.do(append)


async def test_a_list_that_was_replaced_is_anybodys(rows: Rows) -> None:
    """What a row held before, and a list that was read without its row, may be changed."""
    identity = await rows.add(title="a", pages=_named("a", "b"))

    def take_out(session: Session) -> None:
        document = session.get_one(Document, identity)
        pages: Any = document.pages
        document.pages = None
        pages.pop()
        alone: Any = session.scalars(select(Document.pages).where(Document.id == identity)).one()
        assert alone is None

    async with rows.work() as work:
        await work.do(take_out)
        await work.commit()


async def test_a_change_in_place_beside_a_new_file(rows: Rows) -> None:
    """A file changes in place while nobody holds its row, and the row's list gets a new file before it is written."""
    identity = await rows.add(title="one", pages=[pending(b"1")])

    def change(session: Session) -> None:
        session.get_one(Document, identity).pages[0].metadata["key"] = "value"  # type: ignore[index]
        row = session.get_one(Document, identity)
        row.pages = [*(row.pages or ()), pending(b"2")]

    async with rows.work() as work:
        await work.do(change)
        await work.commit()
        pages = await work.do(lambda session: list(session.get_one(Document, identity).pages or ()))

    assert [page.metadata for page in pages] == [{"key": "value"}, {}]
