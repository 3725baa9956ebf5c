"""Core: clients that can't send every method."""

import pytest

from tests.tus.client import MEDIA_TYPE, Tus, is_gone


@pytest.mark.spec("X-HTTP-Method-Override", "If it is there it is the method, and the actual one is ignored.")
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_bytes_are_sent_by_another_method(tus: Tus, method: str) -> None:
    """A client without PATCH sends bytes by another method."""
    url = tus.begin(4)

    answer = tus.request(method, url, {"X-HTTP-Method-Override": "PATCH", "Upload-Offset": "0", **MEDIA_TYPE}, b"0123")

    assert (answer.status_code, answer.headers["Upload-Offset"]) == (204, "4")
    assert tus.offset(url) == 4


@pytest.mark.needs("termination")
@pytest.mark.spec("X-HTTP-Method-Override", "If it is there it is the method, and the actual one is ignored.")
@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_uploads_are_ended_by_another_method(tus: Tus, method: str) -> None:
    """A client without DELETE ends an upload by another method."""
    url = tus.begin(4)

    answer = tus.request(method, url, {"X-HTTP-Method-Override": "DELETE"})

    assert answer.status_code == 204
    assert is_gone(tus.head(url))


@pytest.mark.spec("X-HTTP-Method-Override", "If it is there it is the method, and the actual one is ignored.")
def test_an_upload_is_asked_for_by_another_method(tus: Tus) -> None:
    """A client without HEAD asks how far an upload is by another method."""
    answer = tus.request("POST", tus.begin(4, b"01"), {"X-HTTP-Method-Override": "HEAD"})

    assert answer.status_code in {200, 204}
    assert answer.headers["Upload-Offset"] == "2"


@pytest.mark.spec("X-HTTP-Method-Override", "If it is there it is the method, and the actual one is ignored.")
def test_the_actual_method_is_ignored(tus: Tus) -> None:
    """A PATCH that says to be a HEAD takes no bytes."""
    url = tus.begin(4)

    tus.patch(url, 0, b"0123", X_HTTP_Method_Override="HEAD")

    assert tus.offset(url) == 0


@pytest.mark.spec("X-HTTP-Method-Override", "If it is there it is the method, and the actual one is ignored.")
@pytest.mark.parametrize("name", ["BREW", "PATCH, DELETE", "TRACE"])
def test_a_method_that_is_none_does_nothing(tus: Tus, name: str) -> None:
    """A method that the server does not know is refused, and the actual one is not taken instead."""
    url = tus.begin(4)

    answer = tus.patch(url, 0, b"0123", X_HTTP_Method_Override=name)

    assert answer.status_code in {400, 404, 405, 501}
    assert tus.offset(url) == 0
