"""Creation: lengths that are told later."""

import pytest

from tests.tus.client import Tus, is_refused

pytestmark = pytest.mark.needs("creation-defer-length")


@pytest.mark.spec("Creation, POST", "As long as the length is not known, answers to HEAD have Upload-Defer-Length: 1.")
@pytest.mark.parametrize("body", [b"", b"01234"], ids=["begun", "with bytes"])
def test_a_length_that_is_not_known_is_told_so(tus: Tus, body: bytes) -> None:
    """An upload tells that its length comes later, and no length."""
    headers = tus.head(tus.begin(None, body)).headers

    assert (headers["Upload-Defer-Length"], headers["Upload-Offset"]) == ("1", str(len(body)))
    assert "Upload-Length" not in headers


@pytest.mark.spec("Creation, POST", "The length is set by Upload-Length in the next PATCH, once it is known.")
@pytest.mark.parametrize("after", [0, 1, 2])
def test_a_length_comes_with_bytes(tus: Tus, after: int) -> None:
    """The length comes with the first bytes, or with later ones, and is told from then on."""
    url, length = tus.begin(), 4 * (after + 1)
    for number in range(after):
        tus.patch(url, 4 * number, b"0123")

    answer = tus.patch(url, 4 * after, b"0123", Upload_Length=str(length))
    headers = tus.head(url).headers

    assert (answer.status_code, answer.headers["Upload-Offset"]) == (204, str(length))
    assert (headers["Upload-Length"], headers["Upload-Offset"]) == (str(length), str(length))
    assert "Upload-Defer-Length" not in headers


@pytest.mark.spec("Creation, POST", "The length is set by Upload-Length in the next PATCH, once it is known.")
@pytest.mark.parametrize("body", [b"", b"0123"], ids=["empty upload", "upload"])
def test_a_length_comes_behind_all_bytes(tus: Tus, body: bytes) -> None:
    """A client that comes to know the length at the end tells it without any byte."""
    url = tus.begin(None, body)

    answer = tus.patch(url, len(body), b"", Upload_Length=str(len(body)))

    assert (answer.status_code, answer.headers["Upload-Offset"]) == (204, str(len(body)))
    assert tus.head(url).headers["Upload-Length"] == str(len(body))


@pytest.mark.spec("Creation, POST", "The length is set by Upload-Length in the next PATCH, once it is known.")
def test_bytes_may_follow_a_length_that_came_late(tus: Tus) -> None:
    """An upload goes on after its length was told."""
    url = tus.begin(None)
    tus.patch(url, 0, b"0123", Upload_Length="8")

    answer = tus.patch(url, 4, b"4567")

    assert (answer.status_code, answer.headers["Upload-Offset"]) == (204, "8")


@pytest.mark.spec("Creation, POST", "Once set, the length is not changed.")
@pytest.mark.parametrize("length", ["4", "7", "9", "100"])
@pytest.mark.parametrize("deferred", [True, False], ids=["told late", "told at once"])
def test_a_length_is_told_once(tus: Tus, length: str, *, deferred: bool) -> None:
    """Another length is refused, or not listened to: it never becomes the upload's."""
    url = tus.begin(None if deferred else 8)
    tus.patch(url, 0, b"0123", Upload_Length="8" if deferred else None)

    tus.patch(url, 4, b"", Upload_Length=length)

    assert tus.head(url).headers["Upload-Length"] == "8"


@pytest.mark.spec("Creation, POST", "Once set, the length is not changed.")
def test_a_length_may_be_told_twice(tus: Tus) -> None:
    """The same length once more changes nothing, whether it is refused or not."""
    url = tus.begin(None)
    tus.patch(url, 0, b"0123", Upload_Length="8")

    answer = tus.patch(url, 4, b"4567", Upload_Length="8")
    headers = tus.head(url).headers

    assert headers["Upload-Length"] == "8"
    assert headers["Upload-Offset"] == ("4" if is_refused(answer) else "8")


@pytest.mark.spec("Upload-Length", "It is the size of the entire upload.")
@pytest.mark.parametrize(("length", "body"), [("3", b""), ("0", b""), ("5", b"4567")], ids=["3", "0", "5"])
def test_a_length_is_not_less_than_what_is_there(tus: Tus, length: str, body: bytes) -> None:
    """A length that is less than the bytes that are there, or come with it, is refused."""
    url = tus.begin(None, b"0123")

    answer = tus.patch(url, 4, body, Upload_Length=length)
    headers = tus.head(url).headers

    assert is_refused(answer)
    assert int(headers["Upload-Offset"]) <= int(headers.get("Upload-Length", "5"))


@pytest.mark.spec("Upload-Length", "It is a non-negative integer.")
@pytest.mark.parametrize("length", ["-1", "+8", "8.0", "eight", "0x8", " ", "9" * 30])
def test_a_length_that_comes_late_is_a_number(tus: Tus, length: str) -> None:
    """A length that is none is refused, and its bytes with it."""
    url = tus.begin(None)

    answer = tus.raw(
        "PATCH",
        url,
        [("Content-Type", "application/offset+octet-stream"), ("Upload-Offset", "0"), ("Upload-Length", length)],
        b"0123",
    )
    headers = tus.head(url).headers

    assert is_refused(answer)
    assert (headers["Upload-Offset"], headers.get("Upload-Length")) == ("0", None)


@pytest.mark.needs("max-size")
@pytest.mark.spec("Creation, POST", "More than the maximum is a 413.")
def test_a_length_that_comes_late_is_not_too_large(tus: Tus) -> None:
    """A length beyond the largest size is refused also if it comes late."""
    url = tus.begin(None)

    answer = tus.patch(url, 0, b"0123", Upload_Length=str(int(tus.options().headers["Tus-Max-Size"]) + 1))

    assert answer.status_code == 413
    assert "Upload-Length" not in tus.head(url).headers
