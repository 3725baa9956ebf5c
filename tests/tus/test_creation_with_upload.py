"""Creation With Upload: bytes that come with a creation."""

import pytest

from tests.tus.client import MEDIA_TYPE, Tus, is_refused
from tests.tus.wire import chunked

pytestmark = pytest.mark.needs("creation-with-upload")


@pytest.mark.spec("Creation With Upload", "The answer has Upload-Offset after the bytes that were accepted.")
@pytest.mark.parametrize("body", [b"01234", b"0123456789"], ids=["half", "all"])
def test_bytes_come_with_the_creation(tus: Tus, body: bytes) -> None:
    """An upload begins with its first bytes, or with all of them."""
    answer = tus.post({"Upload-Length": "10", **MEDIA_TYPE}, body)

    assert (answer.status_code, answer.headers["Upload-Offset"]) == (201, str(len(body)))
    assert tus.offset(tus.place(answer)) == len(body)


@pytest.mark.spec("Creation With Upload", "The bytes are applied to the upload.")
@pytest.mark.needs("content")
def test_an_upload_goes_on_from_what_came_first(tus: Tus) -> None:
    """What comes later follows what came with the creation."""
    url = tus.place(tus.post({"Upload-Length": "10", **MEDIA_TYPE}, b"01234"))

    tus.patch(url, 5, b"56789")

    assert tus.content(url) == b"0123456789"


@pytest.mark.spec("Creation With Upload", "The answer has Upload-Offset after the bytes that were accepted.")
@pytest.mark.parametrize("length", ["0", "10"])
def test_no_bytes_may_come_with_the_creation(tus: Tus, length: str) -> None:
    """A creation of the media type of bytes, but without any, begins an upload at 0."""
    answer = tus.post({"Upload-Length": length, **MEDIA_TYPE})

    assert answer.status_code == 201
    assert tus.offset(tus.place(answer)) == 0


@pytest.mark.spec("Creation With Upload", "The answer has Upload-Offset after the bytes that were accepted.")
def test_bytes_come_in_chunks_with_the_creation(tus: Tus) -> None:
    """A body whose length is not known before is taken as any other."""
    fields = [("Upload-Length", "10"), *MEDIA_TYPE.items(), ("Transfer-Encoding", "chunked")]

    answer = tus.raw("POST", tus.url, fields, chunked(b"0123", b"456"))

    assert (answer.status_code, answer.headers["Upload-Offset"]) == (201, "7")


@pytest.mark.spec("Creation With Upload", "The client includes application/offset+octet-stream.")
@pytest.mark.parametrize("kind", ["text/plain", "application/octet-stream"])
def test_a_body_of_another_media_type_is_no_upload(tus: Tus, kind: str) -> None:
    """A body of another media type is refused, or left aside: it never becomes bytes of the upload."""
    answer = tus.post({"Upload-Length": "10", "Content-Type": kind}, b"01234")

    assert is_refused(answer) or tus.offset(tus.place(answer)) == 0


@pytest.mark.spec("Creation With Upload", "Similar rules as for PATCH apply.")
def test_more_bytes_than_the_length_are_refused(tus: Tus) -> None:
    """A creation with more bytes than it says is refused."""
    assert tus.post({"Upload-Length": "4", **MEDIA_TYPE}, b"01234").status_code in {400, 413}


@pytest.mark.spec("Creation With Upload", "The client should send Expect: 100-continue.")
def test_a_creation_may_wait_for_continue(tus: Tus) -> None:
    """A client learns whether its upload is begun before it sends bytes."""
    fields = [("Upload-Length", "4"), *MEDIA_TYPE.items(), ("Content-Length", "4"), ("Expect", "100-continue")]

    with tus.begun("POST", tus.url, fields) as connection:
        assert connection.reads_continue()
        connection.send(b"0123")
        answer = connection.answer("POST")

    assert (answer.status_code, answer.headers["Upload-Offset"]) == (201, "4")


@pytest.mark.needs("creation-defer-length")
@pytest.mark.spec("Creation With Upload", "The client may include a chunk of the upload.")
def test_bytes_come_before_their_length(tus: Tus) -> None:
    """An upload whose length comes later begins with its first bytes."""
    answer = tus.post({"Upload-Defer-Length": "1", **MEDIA_TYPE}, b"01234")

    assert (answer.status_code, answer.headers["Upload-Offset"]) == (201, "5")
    assert tus.head(tus.place(answer)).headers["Upload-Defer-Length"] == "1"


@pytest.mark.needs("expiration")
@pytest.mark.spec("Upload-Expires", "It is in the answer to the POST if it is known then.")
def test_an_upload_that_is_not_all_there_expires(tus: Tus) -> None:
    """The answer to a creation with half of the bytes says when the upload expires."""
    assert "Upload-Expires" in tus.post({"Upload-Length": "10", **MEDIA_TYPE}, b"01234").headers


@pytest.mark.needs("checksum", "checksum-sha1")
@pytest.mark.spec("Creation With Upload", "Similar rules as for PATCH apply.")
def test_bytes_of_a_creation_are_checked(tus: Tus) -> None:
    """A creation whose bytes are not those of its checksum is a 460."""
    wrong = {"Upload-Length": "5", "Upload-Checksum": "sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=", **MEDIA_TYPE}
    right = {**wrong, "Upload-Length": "11"}

    assert tus.post(wrong, b"hello").status_code == 460
    assert tus.post(right, b"hello world").headers["Upload-Offset"] == "11"
