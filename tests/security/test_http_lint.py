"""REDbot's opinion of every kind of answer: nothing that it warns of."""

import json
import subprocess
import sys
import time
from email.utils import parsedate_to_datetime

import pytest

from tests.security.conftest import ROOT, Server, stored_file

MISSING = "00000000-0000-0000-0000-000000000000"
EXCUSED: dict[str, str] = {}
"""Notes that are no fault, each with its reason; there is none."""


@pytest.fixture(scope="module")
def urls(server: Server) -> dict[str, str]:
    """URLs of every kind of answer: downloads, rows and problems."""
    text = stored_file(server, "/tickets/", "a.txt", b"some text " * 1000, "text/plain", title="a")
    answer = server.client.post("/covers/", files={"cover": ("a.bin", bytes(20_000))}).raise_for_status()
    empty = stored_file(server, "/tickets/", "a", b"", "application/octet-stream", title="d")
    urls = {
        "inline": text,
        "picture": stored_file(server, "/tickets/", "a.png", b"\x89PNG\r\n\x1a\n" * 1000, "image/png", title="b"),
        "attachment": stored_file(server, "/tickets/", "größe.html", b"<html>" * 1000, "text/html", title="c"),
        "empty": empty,
        "signed": server.url + server.client.get(f"/signed/{answer.json()['id']}").json(),
        "row": text.removesuffix("/file"),
        "page": f"{server.url}/tickets/?limit=2",
        "missing row": f"{server.url}/tickets/{MISSING}",
        "missing file": f"{server.url}/tickets/{MISSING}/file",
        "invalid key": f"{server.url}/tickets/nonsense",
        "invalid cursor": f"{server.url}/tickets/?after=nonsense",
        "invalid signature": f"{server.url}/filestore?sig=nonsense",
    }
    for each in (text, empty, urls["picture"], urls["attachment"]):
        _let_time_pass(server, each)
    return urls


def _let_time_pass(server: Server, url: str) -> None:
    """Wait until the server's Date, for which uvicorn looks at the clock once a second, is after the file's."""
    while True:
        headers = server.client.head(url).headers
        if parsedate_to_datetime(headers["date"]) > parsedate_to_datetime(headers["last-modified"]):
            return
        time.sleep(0.1)


@pytest.mark.works_with("REDbot")
def test_redbot_has_nothing_to_warn_of(urls: dict[str, str]) -> None:
    """Neither the answers nor those to the ranges and conditions that it asks with are flawed."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.security.lint", *urls.values()]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    told = json.loads(ended.stdout)
    checked = {url.rpartition(" (")[0]: url for url in told if " (" in url}
    faults = {url: [note for note in notes if note[0] not in EXCUSED] for url, notes in told.items()}

    assert set(urls.values()) <= set(told)
    assert {f"{urls['inline']} ({check})" for check in ("range", "etag_validate", "lm_validate")} <= set(told)
    assert checked
    assert {url: notes for url, notes in faults.items() if notes} == {}
