"""Core: bytes that are sent, and where they may go on."""

import pytest

from tests.tus.client import Tus, is_refused
from tests.tus.wire import chunked

STREAM = ("Content-Type", "application/offset+octet-stream")
CHUNKED = ("Transfer-Encoding", "chunked")


@pytest.mark.spec("PATCH", "A success is 204, with Upload-Offset after the bytes that were received.")
@pytest.mark.parametrize("sizes", [[10], [4, 6], [3, 3, 4], [0, 10], [5, 0, 5], [10, 0]], ids=str)
def test_bytes_move_the_offset(tus: Tus, sizes: list[int]) -> None:
    """The offset grows by what is sent, in one request or many, with and without bytes."""
    url, offset = tus.begin(10), 0

    for size in sizes:
        answer = tus.patch(url, offset, b"0123456789"[offset : offset + size])
        offset += size

        assert (answer.status_code, answer.headers["Upload-Offset"]) == (204, str(offset))
        assert tus.offset(url) == offset


@pytest.mark.spec("PATCH", "The bytes are applied at the offset.")
@pytest.mark.needs("content")
@pytest.mark.parametrize("sizes", [[10], [4, 6], [3, 3, 4]], ids=str)
def test_bytes_are_what_was_sent(tus: Tus, sizes: list[int]) -> None:
    """An upload in pieces is what one in a single request is."""
    url, offset = tus.begin(10), 0

    for size in sizes:
        tus.patch(url, offset, b"0123456789"[offset : offset + size])
        offset += size

    assert tus.content(url) == b"0123456789"


@pytest.mark.spec("PATCH", "Offsets that differ are a 409, and the upload is not modified.")
@pytest.mark.parametrize("offset", [0, 3, 5, 10, 11, 2**31, 2**53 - 1])
def test_another_offset_is_a_conflict(tus: Tus, offset: int) -> None:
    """Bytes for before or behind the offset are refused, and change nothing."""
    url = tus.begin(10, b"0123")

    answer = tus.patch(url, offset, b"456789")

    assert answer.status_code == 409
    assert tus.offset(url) == 4


@pytest.mark.spec("PATCH", "Offsets that differ are a 409, and the upload is not modified.")
def test_a_complete_upload_is_not_begun_again(tus: Tus) -> None:
    """Bytes from 0 on conflict with an upload that is complete."""
    url = tus.begin(5, b"hello")

    answer = tus.patch(url, 0, b"HELLO")

    assert answer.status_code == 409
    assert tus.offset(url) == 5


@pytest.mark.spec("PATCH", "Offsets that differ are a 409, and the upload is not modified.")
@pytest.mark.needs("content")
def test_a_conflict_changes_no_byte(tus: Tus) -> None:
    """What is there stays what it was, and what follows goes on from it."""
    url = tus.begin(10, b"0123")

    for offset in (0, 3, 5):
        tus.patch(url, offset, b"XXXX")
    tus.patch(url, 4, b"456789")

    assert tus.content(url) == b"0123456789"


@pytest.mark.spec("PATCH", "All requests are of application/offset+octet-stream, or else answered with 415.")
@pytest.mark.parametrize(
    "kind", [None, "application/octet-stream", "text/plain", "application/json", "multipart/form-data; boundary=b"]
)
def test_another_media_type_is_refused(tus: Tus, kind: str | None) -> None:
    """Bytes of another media type, or of none, are refused, and change nothing."""
    url = tus.begin(10)

    answer = tus.patch(url, 0, b"0123", Content_Type=kind)

    assert answer.status_code == 415
    assert tus.offset(url) == 0


@pytest.mark.spec("PATCH", "The media type is application/offset+octet-stream, whose case means nothing in HTTP.")
def test_the_case_of_the_media_type_means_nothing(tus: Tus) -> None:
    """The media type is the same in capital letters (RFC 9110, section 8.3.1)."""
    answer = tus.patch(tus.begin(4), 0, b"0123", Content_Type="Application/Offset+Octet-Stream")

    assert answer.status_code == 204


@pytest.mark.spec("PATCH", "The offset that is meant comes with Upload-Offset.")
def test_bytes_without_an_offset_are_refused(tus: Tus) -> None:
    """A server does not guess where bytes go."""
    url = tus.begin(10)

    answer = tus.request("PATCH", url, {"Content-Type": STREAM[1]}, b"0123")

    assert is_refused(answer)
    assert tus.offset(url) == 0


@pytest.mark.spec("Upload-Length", "It is the size of the entire upload.")
@pytest.mark.parametrize("there", [b"", b"0123", b"0123456789"], ids=["begun", "half", "complete"])
def test_more_than_the_length_is_refused(tus: Tus, there: bytes) -> None:
    """Bytes beyond the length are too many, and the offset never passes the length."""
    url = tus.begin(10, there)

    answer = tus.patch(url, len(there), b"x" * 11)

    assert answer.status_code in {400, 413}
    assert tus.offset(url) <= 10


@pytest.mark.spec("Upload-Length", "It is the size of the entire upload.")
def test_more_than_the_length_is_refused_of_chunks(tus: Tus) -> None:
    """Bytes beyond the length are too many also where no Content-Length tells of them before."""
    url = tus.begin(10)

    try:
        answer = tus.raw("PATCH", url, [STREAM, CHUNKED, ("Upload-Offset", "0")], chunked(b"x" * 8, b"x" * 8))
    except ConnectionError:
        answer = None

    assert answer is None or answer.status_code in {400, 413}
    assert tus.offset(url) <= 10


@pytest.mark.spec("PATCH", "The new offset is the old one and the number of bytes received.")
@pytest.mark.parametrize("pieces", [[b"0123456789"], [b"0", b"123456", b"789"]], ids=["one chunk", "three chunks"])
def test_bodies_may_come_in_chunks(tus: Tus, pieces: list[bytes]) -> None:
    """A body whose length is not known before is taken as any other."""
    url = tus.begin(10)

    answer = tus.raw("PATCH", url, [STREAM, CHUNKED, ("Upload-Offset", "0")], chunked(*pieces))

    assert (answer.status_code, answer.headers["Upload-Offset"]) == (204, "10")


@pytest.mark.spec("PATCH", "Requests are those of HTTP, where 100 tells that a body is wanted.")
def test_a_client_may_wait_for_continue(tus: Tus) -> None:
    """A client that asks whether its bytes are wanted is told so, and sends them."""
    url = tus.begin(4)
    fields = [STREAM, ("Upload-Offset", "0"), ("Content-Length", "4"), ("Expect", "100-continue")]

    with tus.begun("PATCH", url, fields) as connection:
        assert connection.reads_continue()
        connection.send(b"0123")
        answer = connection.answer("PATCH")

    assert (answer.status_code, answer.headers["Upload-Offset"]) == (204, "4")


@pytest.mark.spec("PATCH", "The Server acknowledges with 204 No Content.")
def test_a_connection_goes_on_after_bytes(tus: Tus) -> None:
    """One connection serves one piece after the other."""
    url, answers = tus.begin(4), []
    usual = [("Tus-Resumable", "1.0.0"), *tus.server.headers.items(), STREAM, ("Content-Length", "2")]

    with tus.begun("HEAD", url, []) as connection:
        connection.answer("HEAD")
        for offset, data in ((0, b"01"), (2, b"23")):
            connection.begin("PATCH", [*usual, ("Upload-Offset", str(offset))])
            connection.send(data)
            answers.append(connection.answer("PATCH").status_code)

    assert answers == [204, 204]
