"""Core: how far an upload is."""

import pytest

from tests.tus.client import Tus, is_gone


@pytest.mark.spec("HEAD", "Upload-Offset is in the answer, even if it is 0.")
def test_an_upload_begins_at_0(tus: Tus) -> None:
    """An upload that has just begun is at 0, of its length."""
    answer = tus.head(tus.begin(100))

    assert answer.status_code in {200, 204}
    assert (answer.headers["Upload-Offset"], answer.headers["Upload-Length"]) == ("0", "100")


@pytest.mark.spec("HEAD", "Upload-Offset is in the answer, even if the upload is complete.")
def test_a_complete_upload_tells_its_offset(tus: Tus) -> None:
    """An upload that is complete is at its length."""
    answer = tus.head(tus.begin(5, b"hello"))

    assert answer.status_code in {200, 204}
    assert (answer.headers["Upload-Offset"], answer.headers["Upload-Length"]) == ("5", "5")


@pytest.mark.spec("HEAD", "The server keeps the answer out of caches by Cache-Control: no-store.")
@pytest.mark.parametrize("body", [b"", b"hel", b"hello"], ids=["begun", "half", "complete"])
def test_no_cache_keeps_an_offset(tus: Tus, body: bytes) -> None:
    """Neither the client nor a proxy may keep the answer."""
    answer = tus.head(tus.begin(5, body))

    assert "no-store" in answer.headers["Cache-Control"]


@pytest.mark.spec("HEAD", "The answer has no content, as of every HEAD.")
def test_heads_have_no_content(tus: Tus) -> None:
    """Nothing follows the header fields, so that the connection goes on."""
    url = tus.begin(5, b"hel")

    with tus.begun("HEAD", url, []) as connection:
        first = connection.answer("HEAD")
        connection.begin("HEAD", [("Tus-Resumable", "1.0.0"), *tus.server.headers.items()])
        second = connection.answer("HEAD")

    assert (first.headers["Upload-Offset"], second.headers["Upload-Offset"]) == ("3", "3")


@pytest.mark.spec("HEAD", "For what is not found the answer is 404, 410 or 403, without Upload-Offset.")
@pytest.mark.parametrize("tail", ["0nothing", "/nothing", "%00", "%2e%2e%2fsecret", "%ff", "x" * 1000, "%0d%0aa:%20b"])
def test_what_is_not_there_has_no_offset(tus: Tus, tail: str) -> None:
    """An address that is no upload's is refused, and no offset is told."""
    answer = tus.head(tus.begin(5) + tail)

    assert answer.status_code in {403, 404, 410}
    assert "Upload-Offset" not in answer.headers


@pytest.mark.spec("PATCH", "For an upload that does not exist the answer is 404.")
def test_bytes_of_no_upload_are_refused(tus: Tus) -> None:
    """Bytes that are sent to an address that is no upload's are told to find nothing."""
    answer = tus.patch(f"{tus.begin(5)}0nothing", 0, b"hello")

    assert is_gone(answer)
