"""What clients are told when something is wrong: every row of the table of problems, through a real server."""

import http.client
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import httpx
import pytest

from fastapi_filestore import errors
from fastapi_filestore.web.problems import KINDS, PREFIX, Kind
from tests.servers.process import LOOPBACK, free_ports, running, served, unavailable
from tests.web.raised import RAISED, SECRETS
from tests.web.site import SIGNING_KEY

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "problems.md"
PROBLEM = "application/problem+json"
MB = 1_000_000
FORM = "multipart/form-data; boundary=b"
TITLE = b'--b\r\nContent-Disposition: form-data; name="title"\r\n\r\n%s\r\n'
FILE = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
END = b"\r\n--b--\r\n"


@dataclass(frozen=True)
class Running:
    """An application that a server serves, and where it keeps everything."""

    port: int
    folder: Path

    @property
    def log(self) -> str:
        """What the server has written so far."""
        return (self.folder / "server.log").read_text()

    def client(self) -> httpx.Client:
        """Return a client that waits longer than a busy machine takes."""
        return httpx.Client(base_url=f"http://{LOOPBACK}:{self.port}", timeout=60)

    def received(self) -> int:
        """Return how many bytes the server has read."""
        with self.client() as client:
            return int(client.get("/received").text)

    def connect(self) -> socket.socket:
        """Open a connection."""
        return socket.create_connection((LOOPBACK, self.port), timeout=60)

    def stored(self) -> list[Path]:
        """Return the files in the store."""
        return [path for path in (self.folder / "store").rglob("*") if path.is_file()]


@contextmanager
def application(folder: Path, parser: str = "httptools", **settings: str) -> Iterator[Running]:
    """Run the application on a port of its own."""
    (port,) = free_ports(1)
    environment = {
        "PYTHONPATH": str(ROOT),
        "DATABASE_URL": f"sqlite+aiosqlite:///{folder}/web.db",
        "FILESTORE_BACKENDS__WEB__URL": (folder / "store").as_uri(),
        "FILESTORE_SIGNING_KEYS": SIGNING_KEY,
        "FILESTORE_MAX_UPLOAD_SIZE": "1 MB",
    }

    def ready() -> bool:
        return httpx.get(f"http://{LOOPBACK}:{port}/received").status_code == 200

    def check() -> bool:
        try:
            return ready()
        except httpx.TransportError as error:
            raise OSError from error

    command = (sys.executable, "-m", "tests.web.answering", str(port), parser)
    with running(command, folder=folder, ready=check, environment=environment | settings):
        yield Running(port, folder)


@pytest.fixture(scope="module", params=["httptools", "h11"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The application behind each parser of uvicorn's."""
    folder = tmp_path_factory.mktemp("answers")
    with served(lambda: application(folder, request.param)) as server:
        yield server


@pytest.fixture
def client(server: Running) -> Iterator[httpx.Client]:
    """A client of it."""
    with server.client() as client:
        yield client


def check_problem(response: httpx.Response, name: str) -> dict[str, Any]:
    """Return the problem in a response, which is as the table says."""
    kind = next(kind for kind in KINDS.values() if kind.name == name)
    body: dict[str, Any] = response.json()
    assert (response.status_code, response.headers["content-type"]) == (kind.status, PROBLEM), response.text
    assert response.headers["cache-control"] == "no-store"
    assert (body["type"], body["title"], body["status"]) == (PREFIX + name, kind.title, kind.status)
    assert body["detail"]
    return body


# -- the table -----------------------------------------------------------------------------------------


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
    assert ("retry-after" in got.headers) is (kind.status == 503)


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


# -- what a client can do wrong ------------------------------------------------------------------------


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
    signed = client.post("/documents/upload-url?filename=a.txt&content_type=text/plain").json()
    first, second = [client.put(signed["upload_url"], content=b"a", headers=signed["headers"]) for _ in range(2)]

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


# -- clients that go away ------------------------------------------------------------------------------


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


# -- clients that are still sending --------------------------------------------------------------------

PATHS = {"/documents/": 413, "/private/": 401, "/by-hand": 413, "/filestore?sig=forged.token": 403}
REFUSED = [
    pytest.param(path, status, id=name)
    for name, (path, status) in zip(("too large", "nobody", "by hand", "signed"), PATHS.items(), strict=True)
]


def head(path: str, length: int | None, *extra: str) -> bytes:
    """Write the head of a request."""
    method = "PUT" if path.startswith("/filestore") else "POST"
    framing = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    return "\r\n".join(
        [f"{method} {path} HTTP/1.1", "Host: a", f"Content-Type: {FORM}", framing, *extra, "", ""]
    ).encode()


def framed(block: bytes, chunked: bool) -> bytes:
    """Write a piece of a body."""
    return b"%x\r\n%b\r\n" % (len(block), block) if chunked else block


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(("path", "status"), REFUSED)
def test_who_reads_only_at_the_end_is_answered(server: Running, path: str, status: int, chunked: bool) -> None:
    """A client that writes 50 MB, beyond all buffers, before it reads a byte finds the whole answer, and an end."""
    start, block = TITLE % b"t" + FILE, b"x" * MB
    with server.connect() as connection:
        connection.sendall(head(path, None if chunked else len(start) + 50 * MB) + framed(start, chunked))
        for _ in range(50):
            connection.sendall(framed(block, chunked))
        connection.sendall(b"0\r\n\r\n" if chunked else b"")
        answer = b"".join(iter(lambda: connection.recv(65536), b""))

    assert answer.startswith(b"HTTP/1.1 %d" % status)
    assert b"connection: close" in answer.lower()
    assert answer.endswith(b"}")


def test_who_reads_meanwhile_is_answered_at_once(server: Running) -> None:
    """Of a gigabyte under a megabyte is read if the client stops when it is answered."""
    before, answers = server.received(), []
    for path in PATHS:
        with server.connect() as connection:
            connection.sendall(head(path, 1000 * MB) + TITLE % b"t" + FILE)
            connection.settimeout(0.01)
            answers.append(push_until_answered(connection)[:12])

    time.sleep(1)
    assert answers == [b"HTTP/1.1 %d" % status for status in PATHS.values()]
    assert server.received() - before < MB * len(PATHS)


def push_until_answered(connection: socket.socket) -> bytes:
    """Send what the server takes until it says something."""
    while True:
        with suppress(TimeoutError):
            connection.send(b"x" * 65536)
        with suppress(TimeoutError):
            return connection.recv(65536)


@pytest.mark.parametrize(("path", "status"), REFUSED)
def test_who_asks_before_sending_is_answered_instead(server: Running, path: str, status: int) -> None:
    """With Expect: 100-continue the refusal comes before a byte of the body, without a 100 and without delay."""
    with server.connect() as connection:
        connection.sendall(head(path, 1000 * MB, "Expect: 100-continue"))
        started = time.monotonic()
        answer = b"".join(iter(lambda: connection.recv(65536), b""))

    assert answer.startswith(b"HTTP/1.1 %d" % status)
    assert answer.endswith(b"}")
    assert time.monotonic() - started < 4  # the connection ends with the answer


@pytest.mark.parametrize("length", [0, 1, 1000])
@pytest.mark.parametrize(
    ("path", "content_type", "status"),
    [("/private/", FORM, 401), ("/by-hand", "image/png", 415), ("/filestore?sig=forged.token", FORM, 403)],
)
def test_who_asks_before_sending_little_is_answered_for_good(
    server: Running, path: str, content_type: str, status: int, length: int
) -> None:
    """A client that was told no may send its body or not, and nobody could tell it from the next request: it ends."""
    with server.connect() as connection:
        connection.sendall(head(path, length, "Expect: 100-continue").replace(FORM.encode(), content_type.encode()))
        answer = b"".join(iter(lambda: connection.recv(65536), b""))

    assert answer.startswith(b"HTTP/1.1 %d" % status)
    assert b"connection: close" in answer.lower()
    assert answer.count(b"HTTP/1.1") == 1


def test_who_asks_before_sending_may_send(server: Running) -> None:
    """With Expect: 100-continue and nothing against it the server says 100, then the answer."""
    with server.connect() as connection:
        connection.sendall(head("/by-hand", 1, "Expect: 100-continue").replace(FORM.encode(), b"text/plain"))
        go_on = connection.recv(1000)
        connection.sendall(b"a")
        answer = connection.recv(1000)

    assert go_on == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert answer.startswith(b"HTTP/1.1 200")


@pytest.fixture(scope="module")
def big_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of 50 MB that takes no room."""
    path = tmp_path_factory.mktemp("big") / "big.bin"
    with path.open("wb") as file:
        file.truncate(50 * MB)
    return path


@pytest.mark.parametrize("expect", ["Expect:", "Expect: 100-continue"])
@pytest.mark.parametrize(("path", "status"), REFUSED[:3])
def test_curl_hears_the_answer(server: Running, big_file: Path, path: str, status: int, expect: str) -> None:
    """Curl shows the status and the body, and no error of its own."""
    curl = shutil.which("curl")
    if curl is None:
        unavailable("curl is missing: install it from the system's packages.")
    url = f"http://{LOOPBACK}:{server.port}{path}"
    command = [curl, "-sS", "-H", expect, "-F", "title=t", "-F", f"file=@{big_file}", "-w", "%{http_code}", url]
    run = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)

    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.endswith(f"}}{status}")


@pytest.mark.parametrize(("path", "status"), REFUSED[:3])
def test_httpx_hears_the_answer(server: Running, big_file: Path, path: str, status: int) -> None:
    """HTTPX sends all it can, then reads."""
    with server.client() as client, big_file.open("rb") as file:
        response = client.post(path, files={"file": file}, data={"title": "t"})

    assert response.status_code == status


@pytest.mark.parametrize(("path", "status"), REFUSED[:3])
def test_the_standard_library_hears_the_answer(server: Running, big_file: Path, path: str, status: int) -> None:
    """http.client writes all of the body before it reads."""
    connection = http.client.HTTPConnection(LOOPBACK, server.port, timeout=100)
    with big_file.open("rb") as file:
        connection.request("POST", path, body=file, headers={"Content-Type": FORM, "Content-Length": str(50 * MB)})
        response = connection.getresponse()
        response.read()
    connection.close()

    assert response.status == status


def test_a_small_body_costs_no_connection(client: httpx.Client) -> None:
    """A refused form that has arrived anyway leaves the connection as it is."""
    refused = client.post("/private/", files={"file": b"x" * 1000}, data={"title": "t"})

    assert refused.status_code == 401
    assert "connection" not in refused.headers


TWICE = FILE + b"x" * 200_000 + b"\r\n" + 2 * (TITLE % b"t") + END[2:]
ONE_TOO_MUCH = FILE + b"x" * (MB + 1) + END


@pytest.mark.parametrize("path", ["/documents/", "/by-hand"])
@pytest.mark.parametrize(("form", "status"), [(TWICE, 422), (ONE_TOO_MUCH, 413)], ids=["a field twice", "too large"])
@pytest.mark.parametrize("chunked", [False, True])
def test_what_is_wrong_at_the_very_end_costs_no_connection(
    server: Running, path: str, form: bytes, status: int, chunked: bool
) -> None:
    """A body that was read to its end leaves nothing to wait for, even if its last bytes are what is refused."""
    with server.connect() as connection:
        end = b"0\r\n\r\n" if chunked else b""
        connection.sendall(head(path, None if chunked else len(form)) + framed(form, chunked) + end)
        refused = read_answer(connection)
        connection.sendall(b"GET /received HTTP/1.1\r\nHost: a\r\n\r\n")
        after = read_answer(connection)

    assert (refused.status, refused.getheader("Connection")) == (status, None)
    assert after.status == 200


def read_answer(connection: socket.socket) -> http.client.HTTPResponse:
    """Read one answer of several on a connection."""
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    answer.read()
    return answer


# -- stores that are down ------------------------------------------------------------------------------


def down(folder: Path, url: str, endpoint: str) -> AbstractContextManager[Running]:
    """Run the application with a store that is not there."""
    settings = {
        "URL": url,
        "AWS_ENDPOINT": endpoint,
        "AWS_ACCESS_KEY_ID": "AKIADOWNDOWNDOWN",
        "AWS_SECRET_ACCESS_KEY": "down-secret-access-key",
        "AWS_REGION": "down-region",
        "MAX_RETRIES": "0",
        "TIMEOUT": "1",
        "CONNECT_TIMEOUT": "1",
    }
    return application(folder, **{f"FILESTORE_BACKENDS__WEB__{name}": value for name, value in settings.items()})


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and never answers."""
    with socket.create_server((LOOPBACK, 0)) as silent:
        yield silent.getsockname()[1]


@pytest.mark.parametrize("kind", ["dead", "silent"])
def test_a_store_that_is_down_is_told_to_everybody(tmp_path: Path, dead_port: int, silent_port: int, kind: str) -> None:
    """503 with Retry-After; the log names the backend in one line; nobody learns where it is or how to get in."""
    port = dead_port if kind == "dead" else silent_port
    endpoint = f"http://{LOOPBACK}:{port}"
    with served(lambda: down(tmp_path, "s3://down-bucket/prefix", endpoint)) as server, server.client() as client:
        response = client.post("/documents/", files={"file": b"a"}, data={"title": "hidden title"})
        listed = client.get("/documents/").json()

    check_problem(response, "store-unavailable")
    assert response.headers["retry-after"] == "5"
    assert listed["items"] == []
    told = f"{response.headers} {response.text}"
    assert not any(word in told for word in ("'web'", "down-", "AKIA", str(port), "s3", str(tmp_path)))
    assert "Backend 'web'" in server.log
    assert not any(
        word in server.log
        for word in ("down-", "AKIA", str(port), "INSERT", "SELECT", "hidden title", "Traceback", str(tmp_path))
    )


if __name__ == "__main__":
    print(documented())  # noqa: T201 - for whoever changes the table
