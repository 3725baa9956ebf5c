"""Checksum: bytes that are not what was sent."""

import time
from hashlib import sha1

import pytest

from tests.tus.client import MEDIA_TYPE, Tus, checksum, encoded
from tests.tus.target import listed
from tests.tus.wire import chunked

pytestmark = pytest.mark.needs("checksum")
ALGORITHMS = pytest.mark.parametrize(
    "algorithm",
    [pytest.param(name, marks=pytest.mark.needs(f"checksum-{name}")) for name in ("sha1", "sha256", "md5")],
)
SHA1 = sha1(b"0123", usedforsecurity=False)


@pytest.mark.spec("Checksum", "Tus-Checksum-Algorithm is in the answer to OPTIONS; sha1 is supported at least.")
def test_algorithms_are_announced(tus: Tus) -> None:
    """The server says which algorithms it knows, sha1 among them, in small letters."""
    names = listed(tus.options().headers["Tus-Checksum-Algorithm"])

    assert "sha1" in names
    assert all(name.isascii() and name == name.lower() for name in names)


@ALGORITHMS
@pytest.mark.spec("Checksum", "Checksums that match are a 204.")
def test_bytes_of_their_checksum_are_taken(tus: Tus, algorithm: str) -> None:
    """Each piece is taken that is what its own checksum says."""
    url = tus.begin(8)

    for offset, data in ((0, b"0123"), (4, b"4567")):
        answer = tus.patch(url, offset, data, Upload_Checksum=checksum(algorithm, data))
        assert (answer.status_code, answer.headers["Upload-Offset"]) == (204, str(offset + 4))


@ALGORITHMS
@pytest.mark.spec("Checksum", "Checksums that differ are a 460; the chunk is discarded, the offset stays.")
@pytest.mark.parametrize("there", [b"", b"0123"], ids=["begun", "half"])
def test_bytes_of_another_checksum_are_not_kept(tus: Tus, algorithm: str, there: bytes) -> None:
    """Nothing is kept of a piece that is not what its checksum says, and the right one may follow."""
    url = tus.begin(len(there) + 4, there)

    answer = tus.patch(url, len(there), b"XXXX", Upload_Checksum=checksum(algorithm, b"4567"))
    offset = tus.offset(url)
    again = tus.patch(url, len(there), b"4567", Upload_Checksum=checksum(algorithm, b"4567"))

    assert (answer.status_code, offset) == (460, len(there))
    assert (again.status_code, tus.offset(url)) == (204, len(there) + 4)


@pytest.mark.needs("content", "checksum-sha1")
@pytest.mark.spec("Checksum", "Checksums that differ are a 460; the chunk is discarded.")
def test_an_upload_has_no_byte_of_another_checksum(tus: Tus) -> None:
    """An upload is made of what was taken alone."""
    url = tus.begin(8, b"0123")

    tus.patch(url, 4, b"XXXX", Upload_Checksum=checksum("sha1", b"4567"))
    tus.patch(url, 4, b"4567", Upload_Checksum=checksum("sha1", b"4567"))

    assert tus.content(url) == b"01234567"


@pytest.mark.needs("checksum-sha1")
@pytest.mark.spec("Upload-Checksum", "It is of the current body, not of the upload.")
def test_a_checksum_is_of_its_request_alone(tus: Tus) -> None:
    """The checksum of the whole upload is not that of its second half."""
    url = tus.begin(8, b"0123")

    answer = tus.patch(url, 4, b"4567", Upload_Checksum=checksum("sha1", b"01234567"))

    assert (answer.status_code, tus.offset(url)) == (460, 4)


@pytest.mark.needs("checksum-sha1")
@pytest.mark.spec("Checksum", "The chunk is verified against the checksum.")
@pytest.mark.parametrize("right", [True, False], ids=["right", "wrong"])
def test_no_bytes_have_a_checksum_too(tus: Tus, *, right: bool) -> None:
    """A request without bytes is checked as any other."""
    answer = tus.patch(tus.begin(4), 0, b"", Upload_Checksum=checksum("sha1", b"" if right else b"0123"))

    assert answer.status_code == (204 if right else 460)


@pytest.mark.needs("checksum-sha1")
@pytest.mark.spec("Checksum", "The chunk is verified against the checksum.")
@pytest.mark.parametrize("right", [True, False], ids=["right", "wrong"])
def test_chunks_are_checked_together(tus: Tus, *, right: bool) -> None:
    """A body in chunks is checked as any other."""
    url = tus.begin(8)
    fields = [*MEDIA_TYPE.items(), ("Transfer-Encoding", "chunked"), ("Upload-Offset", "0")]
    digest = checksum("sha1", b"01234567" if right else b"4567")

    answer = tus.raw("PATCH", url, [*fields, ("Upload-Checksum", digest)], chunked(b"0123", b"4567"))

    assert (answer.status_code, tus.offset(url)) == ((204, 8) if right else (460, 0))


@pytest.mark.spec("Checksum", "An algorithm that the server does not support is a 400; the offset stays.")
@pytest.mark.parametrize("name", ["crc-7", "sha0", "sha1x", "sha", "shake_128", "blake2b-1", "__class__", "sha1,md5"])
def test_algorithms_that_nobody_knows_are_refused(tus: Tus, name: str) -> None:
    """Bytes that can't be checked are not taken."""
    url = tus.begin(4)

    answer = tus.patch(url, 0, b"0123", Upload_Checksum=f"{name} {encoded(SHA1.digest())}")

    assert (answer.status_code, tus.offset(url)) == (400, 0)


@pytest.mark.needs("checksum-sha1")
@pytest.mark.spec("Upload-Checksum", "It is an algorithm and a checksum in base64, separated by a space.")
@pytest.mark.parametrize(
    "value",
    [
        "",
        "sha1",
        "sha1 ",
        encoded(SHA1.digest()),
        f"sha1:{encoded(SHA1.digest())}",
        f"sha1={encoded(SHA1.digest())}",
        f"sha1 {SHA1.hexdigest()}",
        f"sha1 {encoded(SHA1.digest()[:10])}",
        f"sha1 {encoded(SHA1.digest() * 2)}",
        f"sha1 {encoded(SHA1.digest())[:-1]}",
        "sha1 ????????????????????????????",
        f"sha1 {encoded(SHA1.digest())} more",
    ],
)
def test_checksums_that_can_not_be_read_are_refused(tus: Tus, value: str) -> None:
    """Bytes whose checksum means nothing are not taken."""
    url = tus.begin(4)

    answer = tus.raw("PATCH", url, [*MEDIA_TYPE.items(), ("Upload-Offset", "0"), ("Upload-Checksum", value)], b"0123")

    assert answer.status_code in {400, 460}
    assert tus.offset(url) == 0


@pytest.mark.needs("checksum-sha1")
@pytest.mark.spec("PATCH", "Offsets that differ are a 409, and the upload is not modified.")
def test_a_conflict_is_told_before_a_checksum(tus: Tus) -> None:
    """Bytes for another offset conflict, whatever their checksum."""
    url = tus.begin(8, b"0123")

    answer = tus.patch(url, 0, b"0123", Upload_Checksum=checksum("sha1", b"0123"))

    assert (answer.status_code, tus.offset(url)) == (409, 4)


@pytest.mark.needs("checksum-sha1", "creation-defer-length")
@pytest.mark.spec("Checksum", "Checksums that differ: the upload and its offset are not updated.")
def test_a_length_with_another_checksum_is_not_kept(tus: Tus) -> None:
    """A length that comes with bytes that are not what was sent is not kept either."""
    url = tus.begin(None)

    answer = tus.patch(url, 0, b"XXXX", Upload_Length="4", Upload_Checksum=checksum("sha1", b"0123"))

    assert answer.status_code == 460
    assert "Upload-Length" not in tus.head(url).headers


@pytest.mark.needs("checksum-sha1")
@pytest.mark.spec("Checksum", "The chunk is verified once the entire request has been received.")
def test_half_of_a_checked_piece_is_not_kept(tus: Tus) -> None:
    """A piece with a checksum that breaks off can't be checked, so nothing is kept of it."""
    url = tus.begin(100_000)
    fields = [*MEDIA_TYPE.items(), ("Upload-Offset", "0"), ("Upload-Checksum", checksum("sha1", b"x" * 100_000))]

    with tus.begun("PATCH", url, [*fields, ("Content-Length", "100000")]) as connection:
        connection.send(b"x" * 50_000)
        connection.leave()
    time.sleep(0.3)

    assert tus.offset(url) == 0
    tus.finish(url, b"x" * 100_000)


@pytest.mark.needs("checksum-trailer", "checksum-sha1")
@pytest.mark.spec("Checksum", "A hash that is not known at first may be a trailer.")
@pytest.mark.parametrize("right", [True, False], ids=["right", "wrong"])
def test_a_checksum_comes_behind_its_bytes(tus: Tus, *, right: bool) -> None:
    """A checksum behind the body is as good as one before it."""
    url = tus.begin(4)
    trailer = f"Upload-Checksum: {checksum('sha1', b'0123' if right else b'4567')}\r\n".encode()
    fields = [*MEDIA_TYPE.items(), ("Upload-Offset", "0"), ("Transfer-Encoding", "chunked")]

    answer = tus.raw("PATCH", url, [*fields, ("Trailer", "Upload-Checksum")], chunked(b"0123", trailer=trailer))

    assert (answer.status_code, tus.offset(url)) == ((204, 4) if right else (460, 0))
