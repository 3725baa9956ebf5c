"""What clients are told when something is wrong: every row of the table of problems, through a real server."""

import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import product
from typing import Any

import httpx
import pytest

from fastapi_filestore import errors
from fastapi_filestore.web.problems import KINDS, Kind
from tests.web.answers import FILE, FORM, MB, PROBLEM, ROOT, TITLE, Running, check_problem, client, framed, head, server
from tests.web.raised import RAISED, SECRETS

__all__ = ["client", "server"]

DOCUMENT = ROOT / "docs" / "problems.md"


@pytest.mark.parametrize("name", sorted({kind.name for kind in KINDS.values()}))
def test_every_row_of_the_table_is_answered(client: httpx.Client, name: str) -> None:
    """Each error is its problem with its data, to HEAD without a body, and nothing internal is in it."""
    got, head = client.get(f"/raise/{name}"), client.head(f"/raise/{name}")
    body = check_problem(got, name)
    kind = KINDS[next(family for family in type(RAISED[name]).__mro__ if family in KINDS)]

    assert kind.name == name
    assert {*kind.members} <= body.keys()
    assert (head.status_code, head.content, head.headers["content-type"]) == (kind.status, b"", PROBLEM)
    assert not any(secret in f"{got.headers} {got.text}" for secret in SECRETS)
    assert ("retry-after" in got.headers) is (kind.status in {423, 429, 503})


def documented() -> str:
    """Return the table of problems as the documentation has it."""
    # Two errors may be one problem to a client: the first of the table says when.
    firsts = {kind.name: error for error, kind in reversed(list(KINDS.items()))}
    rows = [_row(error, kind) for error, kind in KINDS.items() if firsts[kind.name] is error]
    return "\n".join(["| Type | Status | When | Members |", "| --- | --- | --- | --- |", *rows])


def _row(error: type[errors.FilestoreError], kind: Kind) -> str:
    when = re.sub(r"\s+", " ", str(error.__doc__)).split(";")[0].partition(". ")[0].rstrip(".").replace("|", r"\|")
    members = ", ".join(
        f"`{name}`" for name in (*kind.members, *(["errors", "more_errors"] * (kind.name == "invalid-fields")))
    )
    return f"| `{kind.type}` | {kind.status} | {when}. | {members} |"


def test_the_documentation_has_the_table() -> None:
    """Whoever adds a problem documents it; `python -m tests.web.test_answers` prints the table."""
    assert documented() in DOCUMENT.read_text()


@pytest.fixture
def document(client: httpx.Client, request: pytest.FixtureRequest) -> Iterator[str]:
    """The path of a document."""
    created = client.post("/documents/", files={"file": ("a.txt", b"content")}, data={"title": request.node.name[:40]})
    yield str(created.headers["location"])
    client.delete(created.headers["location"])


WRONG: dict[str, tuple[str, str, dict[str, Any]]] = {
    "malformed-upload": ("POST", "/documents/", {"content": b"nonsense", "headers": {"Content-Type": FORM}}),
    "digest-mismatch": (
        "POST",
        "/by-hand",
        {"content": b"a", "headers": {"Content-Type": "text/plain", "Content-MD5": "1B2M2Y8AsgTpgAmY7PhCfg=="}},
    ),
    "invalid-signature": ("GET", "/filestore?sig=forged.token", {}),
    "row-not-found": ("GET", "/documents/999", {}),
    "row-conflict": ("POST", "/documents/", {"files": {"file": b"a"}, "data": {"title": "{title}"}}),
    "precondition-failed": ("GET", "{document}/file", {"headers": {"If-Match": '"another"'}}),
    "upload-too-large": ("POST", "/documents/", {"files": {"file": b"x" * 9 * MB}, "data": {"title": "t"}}),
    "unsupported-upload": ("PATCH", "{document}", {"content": b"a=b", "headers": {"Content-Type": "text/plain"}}),
    "range-not-satisfiable": ("GET", "{document}/file", {"headers": {"Range": "bytes=7-"}}),
    "missing-file": ("POST", "/documents/", {"files": {"other": b"a"}, "data": {"title": "t"}}),
    "too-many-files": ("POST", "/several", {"files": [("files", (f"{n}", b"a")) for n in range(3)]}),
    "invalid-cursor": ("GET", "/documents/?after=nonsense", {}),
    "invalid-fields": ("PATCH", "{document}", {"json": {"title": "x" * 41}}),
}


MEMBERS = {"upload-too-large": {"limit", "actual"}, "too-many-files": {"limit", "actual"}, "invalid-fields": {"errors"}}


@pytest.mark.parametrize("name", WRONG)
def test_mistakes_are_told(client: httpx.Client, document: str, name: str) -> None:
    """A request that is wrong gets the problem that says how."""
    method, path, options = WRONG[name]
    if name == "row-conflict":
        options = options | {"data": {"title": client.get(document).json()["title"]}}
    body = check_problem(client.request(method, path.format(document=document), **options), name)

    assert MEMBERS.get(name, set()) <= body.keys()


def test_a_missing_body_is_told(server: Running) -> None:
    """A request without Content-Length and Transfer-Encoding has no body: 411, and no empty file."""
    with server.connect() as connection:
        connection.sendall(b"POST /by-hand HTTP/1.0\r\nContent-Type: text/plain\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(65536), b""))

    assert answer.startswith(b"HTTP/1.1 411")
    assert b"length-required" in answer


def test_a_signed_upload_overwrites_nothing(client: httpx.Client) -> None:
    """The second PUT to a signed URL is a 409."""
    announced = {"filename": "a.txt", "content_type": "text/plain"}
    direct = client.post("/documents/uploads", json=announced).json()["direct"]
    first, second = [client.put(direct["url"], content=b"a", headers=direct["headers"]) for _ in range(2)]

    assert first.status_code == 201
    check_problem(second, "object-exists")


def test_the_applications_own_refusals_pass_through(client: httpx.Client) -> None:
    """401 and 403 of a dependency are as it made them, headers included."""
    nobody = client.get("/private/")
    stranger = client.get("/private/", headers={"Authorization": "Bearer stranger"})

    assert (nobody.status_code, nobody.json()) == (401, {"detail": "Who are you?"})
    assert nobody.headers["www-authenticate"] == 'Bearer realm="files"'
    assert (stranger.status_code, stranger.json()) == (403, {"detail": {"reason": "Not you."}})
    assert stranger.headers["x-policy"] == "friends only"


def test_clients_that_go_away_leave_nothing(server: Running) -> None:
    """Neither a file nor a line in the log: nobody is there to be told, and nothing is wrong."""
    before, lines = server.stored(), len(server.log)
    start = TITLE % b"gone" + FILE + b"x" * 300_000
    with ExitStack() as connections:
        for path, chunked in product(("/documents/", "/by-hand"), (False, True)):
            connection = connections.enter_context(server.connect())
            connection.sendall(head(path, None if chunked else 900_000) + framed(start, chunked))
        time.sleep(0.3)
    time.sleep(0.5)

    assert server.stored() == before
    assert "Traceback" not in server.log[lines:]
    assert "fastapi_filestore" not in server.log[lines:]


def test_a_download_that_is_broken_off_is_no_error(server: Running, client: httpx.Client) -> None:
    """A client that closes in the middle of a file leaves no traceback."""
    created = client.post("/documents/", files={"file": b"x" * 900_000}, data={"title": f"big {server.port}"})
    lines = len(server.log)
    for _ in range(5):
        with server.connect() as connection:
            path = created.json()["file"]["url"].encode()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.sendall(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % path)
            connection.recv(1000)
    time.sleep(0.3)

    assert "Traceback" not in server.log[lines:]


if __name__ == "__main__":
    print(documented())  # noqa: T201 - for whoever changes the table
