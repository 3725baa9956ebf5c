"""Termination: uploads that clients end."""

import pytest

from tests.tus.client import Tus, is_gone

pytestmark = pytest.mark.needs("termination")
STATES = pytest.mark.parametrize("body", [b"", b"01", b"0123"], ids=["begun", "half", "complete"])


@STATES
@pytest.mark.spec("Termination, DELETE", "An upload is ended with 204, and is a 404 or a 410 from then on.")
def test_an_upload_that_was_ended_is_gone(tus: Tus, body: bytes) -> None:
    """An upload ends, as far as it has come, and nothing is told of it any more."""
    url = tus.begin(4, body)

    answer = tus.delete(url)

    assert (answer.status_code, answer.content) == (204, b"")
    assert is_gone(tus.head(url))
    assert "Upload-Offset" not in tus.head(url).headers


@STATES
@pytest.mark.spec("Termination, DELETE", "All later requests for it are a 404 or a 410.")
def test_an_upload_that_was_ended_takes_no_bytes(tus: Tus, body: bytes) -> None:
    """Bytes for an upload that was ended find nothing, and make nothing."""
    url = tus.begin(4, body)
    tus.delete(url)

    assert is_gone(tus.patch(url, len(body), b"0123"[len(body) :]))
    assert is_gone(tus.patch(url, 0, b"0123"))
    assert is_gone(tus.head(url))


@pytest.mark.spec("Termination, DELETE", "All later requests for it are a 404 or a 410.")
def test_an_upload_ends_once(tus: Tus) -> None:
    """Who ends an upload the second time is told that it is gone."""
    url = tus.begin(4)
    tus.delete(url)

    assert is_gone(tus.delete(url))


@pytest.mark.spec("Termination, DELETE", "The request is for an existing upload.")
def test_what_was_never_begun_is_not_ended(tus: Tus) -> None:
    """An address that is no upload's is told to find nothing."""
    url = tus.begin(4)

    assert is_gone(tus.delete(f"{url}0nothing"))
    assert tus.offset(url) == 0


@pytest.mark.spec("Termination, DELETE", "The upload is ended that is asked for.")
def test_only_one_upload_ends(tus: Tus) -> None:
    """Other uploads stay, and go on."""
    first, second = tus.begin(4, b"01"), tus.begin(4, b"01")
    tus.delete(first)

    assert tus.patch(second, 2, b"23").status_code == 204


@pytest.mark.needs("creation-defer-length")
@pytest.mark.spec("Termination, DELETE", "Unfinished uploads are ended as well.")
def test_an_upload_of_no_length_ends(tus: Tus) -> None:
    """An upload whose length was never told ends as any other."""
    url = tus.begin(None, b"0123")

    assert tus.delete(url).status_code == 204
    assert is_gone(tus.head(url))
