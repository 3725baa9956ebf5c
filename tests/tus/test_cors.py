"""Pages of other origins, of which tus says nothing, and the Fetch standard all."""

import pytest

from tests.tus.client import Tus
from tests.tus.target import ORIGIN, listed

pytestmark = pytest.mark.needs("cors")
ANY = "*"


def allowed(value: str) -> set[str]:
    """Return the members of a list of names, in small letters."""
    return {name.lower() for name in listed(value)}


@pytest.mark.spec("Fetch standard, CORS-preflight request", "A page may send a method that the answer lists.")
@pytest.mark.parametrize("method", ["PATCH", "HEAD", "DELETE", "POST"])
def test_pages_may_send_every_method(tus: Tus, method: str) -> None:
    """A browser is told that a page of another origin may send what tus sends."""
    answer = tus.options(tus.begin(4), Origin=ORIGIN, Access_Control_Request_Method=method)
    names = allowed(answer.headers.get("Access-Control-Allow-Methods", ""))

    assert answer.is_success
    assert answer.headers["Access-Control-Allow-Origin"] in {ANY, ORIGIN}
    assert method in {"HEAD", "POST"} or names & {method.lower(), ANY}  # which need no permission


@pytest.mark.spec("Fetch standard, CORS-preflight request", "A page may send header fields that the answer lists.")
@pytest.mark.parametrize(
    "name",
    [
        "Tus-Resumable",
        "Upload-Length",
        "Upload-Offset",
        "Upload-Metadata",
        "Content-Type",
        "X-HTTP-Method-Override",
        "X-Requested-With",
        pytest.param("Upload-Defer-Length", marks=pytest.mark.needs("creation-defer-length")),
        pytest.param("Upload-Checksum", marks=pytest.mark.needs("checksum")),
        pytest.param("Upload-Concat", marks=pytest.mark.needs("concatenation")),
    ],
)
def test_pages_may_send_every_field(tus: Tus, name: str) -> None:
    """A browser is told that a page of another origin may send the fields of tus."""
    answer = tus.options(
        Origin=ORIGIN, Access_Control_Request_Method="POST", Access_Control_Request_Headers=name.lower()
    )

    assert answer.is_success
    assert allowed(answer.headers["Access-Control-Allow-Headers"]) & {name.lower(), ANY}


@pytest.mark.spec("Fetch standard, Access-Control-Expose-Headers", "A page reads header fields that the answer lists.")
@pytest.mark.parametrize(
    ("of", "names"),
    [
        ("POST", {"location", "tus-resumable"}),
        ("HEAD", {"upload-offset", "upload-length", "upload-metadata", "tus-resumable"}),
        ("PATCH", {"upload-offset", "tus-resumable"}),
        ("OPTIONS", {"tus-version", "tus-extension"}),
    ],
    ids=["POST", "HEAD", "PATCH", "OPTIONS"],
)
def test_pages_may_read_every_field(tus: Tus, of: str, names: set[str]) -> None:
    """A page of another origin may read what a client of tus has to know."""
    url, origin = tus.begin(4), {"Origin": ORIGIN}
    answer = {
        "POST": lambda: tus.post({"Upload-Length": "4", **origin}),
        "HEAD": lambda: tus.request("HEAD", url, origin),
        "PATCH": lambda: tus.patch(url, 0, b"01", **origin),
        "OPTIONS": lambda: tus.options(**origin),
    }[of]()
    exposed = allowed(answer.headers["Access-Control-Expose-Headers"])

    assert answer.headers["Access-Control-Allow-Origin"] in {ANY, ORIGIN}
    assert names <= exposed or exposed == {ANY}


@pytest.mark.spec("Fetch standard, CORS check", "A page reads an answer that names its origin.")
@pytest.mark.parametrize("of", ["409", "404", "412"])
def test_pages_may_read_refusals(tus: Tus, of: str) -> None:
    """A page is told what was wrong, and not just that something was."""
    url, origin = tus.begin(4), {"Origin": ORIGIN}
    answer = {
        "409": lambda: tus.patch(url, 2, b"01", **origin),
        "404": lambda: tus.request("HEAD", f"{url}0nothing", origin),
        "412": lambda: tus.request("HEAD", url, {**origin, "Tus-Resumable": "0.2.2"}),
    }[of]()

    assert answer.is_client_error
    assert answer.headers["Access-Control-Allow-Origin"] in {ANY, ORIGIN}
