"""Creation: uploads that begin."""

from urllib.parse import urljoin, urlsplit

import pytest

from tests.tus.client import Tus, is_refused

pytestmark = pytest.mark.needs("creation")


@pytest.mark.spec("Creation, POST", "A success is 201, with the URL of the upload in Location.")
def test_an_upload_begins(tus: Tus) -> None:
    """The answer to a creation says where the upload is."""
    answer = tus.post({"Upload-Length": "100"})

    assert answer.status_code == 201
    assert tus.offset(tus.place(answer)) == 0


@pytest.mark.spec("Creation, POST", "The URL in Location may be absolute or relative.")
def test_a_location_is_of_the_address_that_was_asked(tus: Tus) -> None:
    """The address leads to the same server, by the same scheme, however it is written."""
    answer = tus.post({"Upload-Length": "100"})
    place = urlsplit(urljoin(tus.url, answer.headers["Location"]))

    assert (place.scheme, place.netloc) == urlsplit(tus.url)[:2]
    assert not place.fragment


@pytest.mark.spec("Creation, POST", "The URL in Location may be absolute or relative.")
def test_a_location_holds_under_another_name_of_the_server(tus: Tus) -> None:
    """The address is good also for a client that knows the server by another name."""
    answer = tus.raw("POST", tus.url, [("Upload-Length", "4"), ("X-Forwarded-Proto", "https")])
    place = urlsplit(urljoin(tus.url, answer.headers["Location"]))

    assert tus.offset(urljoin(tus.url, place.path + (f"?{place.query}" if place.query else ""))) == 0


@pytest.mark.spec("Creation, POST", "Each request is for a new resource.")
def test_each_creation_is_another_upload(tus: Tus) -> None:
    """Two creations with the same words are two uploads."""
    first, second = tus.begin(4), tus.begin(4)
    tus.patch(first, 0, b"01")

    assert first != second
    assert (tus.offset(first), tus.offset(second)) == (2, 0)


@pytest.mark.spec("Creation, POST", "Upload-Length may be 0: the upload is complete without a PATCH.")
def test_an_empty_upload_is_complete(tus: Tus) -> None:
    """An upload of no bytes is complete as it begins."""
    answer = tus.head(tus.begin(0))

    assert (answer.headers["Upload-Offset"], answer.headers["Upload-Length"]) == ("0", "0")


@pytest.mark.spec("Creation, POST", "The request says Upload-Length, or Upload-Defer-Length: 1.")
def test_an_upload_of_no_length_is_refused(tus: Tus) -> None:
    """A creation that says neither a length, nor that it comes later, is refused."""
    assert is_refused(tus.post({}))


@pytest.mark.spec("Upload-Defer-Length", "It is left out where the length is not deferred.")
def test_a_length_is_not_told_and_deferred(tus: Tus) -> None:
    """A creation that says a length, and that it comes later, is refused."""
    assert is_refused(tus.post({"Upload-Length": "4", "Upload-Defer-Length": "1"}))


@pytest.mark.spec("Creation, POST", "Upload-Defer-Length of another value than 1 is a 400.")
@pytest.mark.parametrize("value", ["0", "2", "01", "true", "", "-1", "1.0", "1, 1"])
def test_only_1_defers_a_length(tus: Tus, value: str) -> None:
    """Whatever else is said of a length that comes later is refused."""
    assert tus.post({"Upload-Defer-Length": value}).status_code == 400


@pytest.mark.needs("max-size")
@pytest.mark.spec("Creation, POST", "More than the maximum is a 413.")
@pytest.mark.parametrize("more", [1, 10**9])
def test_an_upload_that_is_too_large_is_not_begun(tus: Tus, more: int) -> None:
    """An upload of more bytes than the largest is refused before any is sent."""
    largest = int(tus.options().headers["Tus-Max-Size"])

    assert tus.post({"Upload-Length": str(largest + more)}).status_code == 413


@pytest.mark.needs("max-size")
@pytest.mark.spec("Tus-Max-Size", "It is the maximum that is allowed.")
def test_an_upload_of_the_largest_size_begins(tus: Tus) -> None:
    """An upload of just the largest size begins."""
    largest = tus.options().headers["Tus-Max-Size"]

    assert tus.head(tus.begin(int(largest))).headers["Upload-Length"] == largest


@pytest.mark.spec("Creation, POST", "The request is an empty POST.")
def test_a_creation_needs_no_content(tus: Tus) -> None:
    """A creation without a body needs neither a media type nor a length of its own."""
    with tus.begun("POST", tus.url, [("Upload-Length", "4")]) as connection:
        answer = connection.answer("POST")

    assert answer.status_code == 201
