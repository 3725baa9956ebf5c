"""What may be given to a column of one file, and what comes back: content, JSON of others, paths."""

import copy
import pickle
from pathlib import Path

import pytest
from sqlalchemy import column, insert, select, table

from fastapi_filestore import (
    FileObject,
    ObjectNotFoundError,
    PendingContentError,
    SharedFileError,
    UnsupportedContentError,
)
from tests.rows.conftest import Rows, pending
from tests.rows.models import Base, Document


async def test_a_wrong_value_is_refused_when_it_is_assigned(rows: Rows) -> None:
    """A dict, a tuple or bytes where a file is wanted is a TypeError that says what to give."""
    for wrong in ({"backend": "rows", "path": "x"}, ("a.txt", b""), b"bytes", "text", 5):
        with pytest.raises(UnsupportedContentError, match="FileObject"):
            Document(title="t", file=wrong)


async def test_pending_content_never_becomes_a_row_in_silence(rows: Rows) -> None:
    """A Core insert, which no unit of work sees, refuses a file that nobody stored."""
    async with rows.work() as work:
        with pytest.raises(Exception, match="not stored yet") as caught:
            await work.do(
                lambda s: s.connection().execute(
                    insert(Base.metadata.tables["documents"]).values(title="t", file=pending())
                )
            )

    assert isinstance(caught.value.__cause__ or caught.value, PendingContentError)


async def test_metadata_and_type_come_back_from_the_row(rows: Rows) -> None:
    """Whatever the store can hold, the row remembers type and metadata of any text."""
    metadata = {"Kunde": "Müller\nSöhne", "empty": ""}
    identity = await rows.add(
        title="t", file=FileObject(filename="ü.pdf", content_type="application/pdf", metadata=metadata, content=b"x")
    )
    async with rows.work() as work:
        file = (await work.get(Document, identity)).file

    assert file is not None
    assert (file.filename, file.content_type, file.metadata) == ("ü.pdf", "application/pdf", metadata)


async def test_a_loaded_file_pickles_and_copies(rows: Rows) -> None:
    """A file from a row survives pickle and deepcopy as an equal value."""
    identity = await rows.add(title="t", file=pending(b"x"))
    async with rows.work() as work:
        file = (await work.get(Document, identity)).file

    assert file is not None
    for twin in (pickle.loads(pickle.dumps(file)), copy.deepcopy(file)):
        assert twin == file
        assert await twin.get_content_async() == b"x"


async def test_a_path_and_an_iterator_are_content(rows: Rows, tmp_path: Path) -> None:
    """A file on disk and a generator are stored like bytes."""
    (tmp_path / "b.bin").write_bytes(b"from disk")
    first = await rows.add(title="1", file=FileObject(filename="b.bin", content=tmp_path / "b.bin"))
    second = await rows.add(title="2", file=FileObject(filename="c", content=(part for part in (b"a", b"b"))))

    assert [await rows.content(first), await rows.content(second)] == [b"from disk", b"ab"]


async def test_rows_of_advanced_alchemy_are_read(rows: Rows) -> None:
    """Its JSON, unknown keys included, is a stored file whose filename is its path."""
    await rows.backend.put("a.txt", b"hello")
    theirs = {
        "filename": "a.txt", "content_type": "text/plain", "size": 5, "last_modified": 1795379941.47,
        "checksum": None, "etag": '"1"', "version_id": None, "metadata": {"k": "v"}, "backend": "rows", "extra": 1,
    }  # fmt: skip
    async with rows.work() as work:
        target = table("documents", column("title"), column("file", rows.json))
        await work.execute(insert(target).values(title="theirs", file=theirs))
        await work.commit()
        document = await work.scalar_one(select(Document))

    assert document.file is not None
    assert (document.file.path, document.file.metadata) == ("a.txt", {"k": "v"})
    assert await document.file.get_content_async() == b"hello"


async def test_a_file_that_a_client_stored_goes_into_a_row(rows: Rows) -> None:
    """A file named by its path is confirmed with the store at the flush, and belongs to the row from then on."""
    await rows.backend.put("from/client", b"direct")
    identity = await rows.add(title="t", file=FileObject("rows", "a.txt", path="from/client"))
    content = await rows.content(identity)
    async with rows.work() as work:
        await work.delete(await work.get(Document, identity))
        await work.commit()

    assert content == b"direct"
    assert await rows.keys() == set()


async def test_a_path_that_a_row_holds_is_refused(rows: Rows) -> None:
    """Naming an object that a row holds already is refused, single or in a list, and the row keeps it."""
    first = await rows.add(title="1", file=FileObject("rows", path="ü 1", content=b"one"))
    await rows.add(title="2", pages=[FileObject("rows", path="b", content=b"two")])
    for path in ("ü 1", "b"):
        async with rows.work() as work:
            again = FileObject("rows", path=path)
            await work.do(lambda s, file=again: s.add(Document(title="3", file=file)))  # type: ignore[misc]
            with pytest.raises(SharedFileError):
                await work.commit()

    assert await rows.content(first) == b"one"


async def test_a_path_where_nothing_is_fails_the_flush(rows: Rows) -> None:
    """A row never points to an object that is not there."""
    async with rows.work() as work:
        await work.add(Document(title="t", file=FileObject("rows", path="nothing")))
        with pytest.raises(ObjectNotFoundError):
            await work.commit()
