"""Core: clients of other versions."""

import pytest

from tests.tus.client import Tus, is_refused
from tests.tus.target import listed

OTHERS = pytest.mark.parametrize("version", ["0.2.2", "1.0", "2.0.0", "1.0.0, 2.0.0", "nonsense", ""])


@OTHERS
@pytest.mark.spec("Tus-Resumable", "Another version is a 412 with Tus-Version, and the request is not processed.")
def test_bytes_of_another_version_are_not_taken(tus: Tus, version: str) -> None:
    """A client that speaks another version is told which ones there are, and its bytes are not taken."""
    url = tus.begin(4)

    answer = tus.patch(url, 0, b"0123", Tus_Resumable=version)

    assert answer.status_code == 412
    assert "1.0.0" in listed(answer.headers["Tus-Version"])
    assert tus.offset(url) == 0


@OTHERS
@pytest.mark.spec("Tus-Resumable", "Another version is a 412 with Tus-Version, and the request is not processed.")
def test_another_version_begins_nothing(tus: Tus, version: str) -> None:
    """No upload is begun for a client that speaks another version."""
    answer = tus.post({"Upload-Length": "4", "Tus-Resumable": version})

    assert answer.status_code == 412
    assert "1.0.0" in listed(answer.headers["Tus-Version"])
    assert "Location" not in answer.headers


@pytest.mark.spec("Tus-Resumable", "Another version is a 412 with Tus-Version, and the request is not processed.")
def test_another_version_is_not_told_the_offset(tus: Tus) -> None:
    """A client that speaks another version is not told how far an upload is."""
    answer = tus.request("HEAD", tus.begin(4), {"Tus-Resumable": "0.2.2"})

    assert answer.status_code == 412
    assert "1.0.0" in listed(answer.headers["Tus-Version"])
    assert "Upload-Offset" not in answer.headers


@pytest.mark.needs("termination")
@pytest.mark.spec("Tus-Resumable", "Another version is a 412 with Tus-Version, and the request is not processed.")
def test_another_version_ends_nothing(tus: Tus) -> None:
    """No upload is ended for a client that speaks another version."""
    url = tus.begin(4)

    answer = tus.request("DELETE", url, {"Tus-Resumable": "0.2.2"})

    assert answer.status_code == 412
    assert tus.offset(url) == 0


@pytest.mark.spec("Tus-Resumable", "It is in every request but those for OPTIONS.")
def test_bytes_of_no_version_are_not_taken(tus: Tus) -> None:
    """Bytes of a client that does not say its version are refused."""
    url = tus.begin(4)

    answer = tus.patch(url, 0, b"0123", Tus_Resumable=None)

    assert is_refused(answer)
    assert tus.offset(url) == 0
