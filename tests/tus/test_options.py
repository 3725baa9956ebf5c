"""Core: what a server says of itself."""

import re

import pytest

from tests.tus.client import Tus
from tests.tus.target import Target, listed

EITHER_PLACE = pytest.mark.parametrize("place", ["where uploads begin", "an upload"])


@pytest.mark.spec("Protocol Extensions", "Clients detect features by OPTIONS, and by Tus-Extension in its answer.")
def test_the_server_announces_what_it_is_tried_for(tus: Tus, target: Target) -> None:
    """A server announces just what its cases were chosen by."""
    assert tus.server.announced() == target.announces


@EITHER_PLACE
@pytest.mark.spec("OPTIONS", "A successful answer is 204 or 200 and has Tus-Version.")
def test_options_tell_the_version(tus: Tus, place: str) -> None:
    """OPTIONS are answered with the versions that the server speaks, wherever they are asked for."""
    answer = tus.options(tus.url if place == "where uploads begin" else tus.begin(3))

    assert answer.status_code in {200, 204}
    assert "1.0.0" in listed(answer.headers["Tus-Version"])


@pytest.mark.parametrize("version", ["0.2.2", "9.9.9", "nonsense"])
@pytest.mark.spec("OPTIONS", "The server ignores Tus-Resumable in a request for options.")
def test_options_are_told_to_clients_of_any_version(tus: Tus, version: str) -> None:
    """A client learns what the server speaks, whatever it speaks itself."""
    answer = tus.options(Tus_Resumable=version)

    assert answer.status_code in {200, 204}
    assert "1.0.0" in listed(answer.headers["Tus-Version"])


@pytest.mark.spec("Tus-Extension", "It is a comma-separated list of what the server supports.")
def test_extensions_are_a_list_of_names(tus: Tus) -> None:
    """Each extension is announced once, by a name in small letters."""
    value = tus.options().headers["Tus-Extension"]
    names = [name.strip() for name in value.split(",")]

    assert all(re.fullmatch("[a-z]+(-[a-z]+)*", name) for name in names), value
    assert len(names) == len(set(names))


@pytest.mark.needs("creation-with-upload")
@pytest.mark.spec("Creation With Upload", "A server without Creation must not offer it.")
def test_what_an_extension_rests_on_is_announced(tus: Tus) -> None:
    """A server that takes bytes with a creation announces creation."""
    assert "creation" in listed(tus.options().headers["Tus-Extension"])


@pytest.mark.needs("max-size")
@pytest.mark.spec("Tus-Max-Size", "It is a non-negative integer, the most bytes of an upload.")
def test_the_largest_size_is_a_number(tus: Tus) -> None:
    """The largest size of an upload is told in decimal digits."""
    assert re.fullmatch("[0-9]+", tus.options().headers["Tus-Max-Size"])


@pytest.mark.spec("Tus-Resumable", "It is in every answer, but for those to OPTIONS.")
@pytest.mark.parametrize("of", ["POST", "HEAD", "PATCH", "409", "415", "404", "412", "400"])
def test_every_answer_tells_its_version(tus: Tus, of: str) -> None:
    """Answers tell the version they are of, refusals as well."""
    url = tus.begin(10)
    answer = {
        "POST": lambda: tus.post({"Upload-Length": "3"}),
        "HEAD": lambda: tus.head(url),
        "PATCH": lambda: tus.patch(url, 0, b"0123"),
        "409": lambda: tus.patch(url, 5, b"0123"),
        "415": lambda: tus.patch(url, 0, b"0123", Content_Type="text/plain"),
        "404": lambda: tus.head(f"{url}0nothing"),
        "412": lambda: tus.request("HEAD", url, {"Tus-Resumable": "0.2.2"}),
        "400": lambda: tus.post({"Upload-Length": "-1"}),
    }[of]()

    assert answer.headers.get("Tus-Resumable") == "1.0.0"
