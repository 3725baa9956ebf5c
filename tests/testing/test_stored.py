"""The comparison of a row's file with bytes."""

import pytest

from fastapi_filestore import FileObject, ObstoreBackend
from fastapi_filestore.testing import assert_stored, assert_stored_async, memory_storage, sample_file

__all__ = ["memory_storage", "sample_file"]
BODY = b"Sample content"


def test_what_is_stored(sample_file: FileObject) -> None:
    """Where all agrees, nothing is said."""
    assert_stored(sample_file, BODY)
    assert_stored(sample_file, bytearray(BODY), filename="sample.txt", content_type="text/plain")


async def test_in_an_event_loop(sample_file: FileObject) -> None:
    """It is for asynchronous tests, too, with and without `await`."""
    assert_stored(sample_file, BODY)
    await assert_stored_async(sample_file, BODY)

    with pytest.raises(AssertionError):
        assert_stored(sample_file, b"")


@pytest.mark.parametrize(
    ("content", "names", "message"),
    [
        (b"Sample contents", {}, r"holds 14 bytes b'Sample content' instead of 15 bytes .* from byte 14 on"),
        (b"Simple content", {}, "differ from byte 1 on"),
        (b"x" * 1000, {}, r"1,000 bytes b'x{40}'\.\.\."),
        (BODY, {"filename": "b.txt"}, "filename of .* is 'sample.txt' instead of 'b.txt'"),
        (BODY, {"content_type": "text/html"}, "content_type of .* is 'text/plain' instead of 'text/html'"),
    ],
)
def test_what_differs(sample_file: FileObject, content: bytes, names: dict[str, str], message: str) -> None:
    """The message names the file, says what is there instead, and where the difference begins."""
    with pytest.raises(AssertionError, match=message) as failed:
        assert_stored(sample_file, content, **names)

    assert "'sample.txt' in backend 'test'" in str(failed.value)


def test_what_is_not_there(sample_file: FileObject) -> None:
    """No file, a file that was never stored and one whose object is gone are told as such, and text is no bytes."""
    for nothing, message in ((None, "no file, but None"), ([sample_file], "one by one")):
        with pytest.raises(AssertionError, match=message):
            assert_stored(nothing, BODY)  # type: ignore[arg-type]
    with pytest.raises(AssertionError, match="is not stored"):
        assert_stored(FileObject("test", "a.txt", content=BODY), BODY)
    with pytest.raises(TypeError, match=r"write b'"):
        assert_stored(sample_file, "Sample content")  # type: ignore[arg-type]
    gone = sample_file.copy()
    FileObject.from_record(gone.to_record()).delete()
    with pytest.raises(AssertionError, match="can't be read"):
        assert_stored(gone, BODY)


async def test_a_size_that_lies(memory_storage: ObstoreBackend, sample_file: FileObject) -> None:
    """A row that tells another size than the object has is told."""
    record = sample_file.to_record()
    await memory_storage.put(str(sample_file.path), BODY + b"!")

    with pytest.raises(AssertionError):
        await assert_stored_async(FileObject.from_record(record), BODY + b"!")
