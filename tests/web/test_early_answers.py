"""Who sends a body that is refused hears the answer, whatever it is doing at that time."""

import http.client
import shutil
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.servers.process import LOOPBACK, unavailable
from tests.web.answers import FILE, FORM, MB, TITLE, Running, client, framed, head, server

__all__ = ["client", "server"]

END = b"\r\n--b--\r\n"


PATHS = {"/documents/": 413, "/private/": 401, "/by-hand": 413, "/filestore?sig=forged.token": 403}


REFUSED = [
    pytest.param(path, status, id=name)
    for name, (path, status) in zip(("too large", "nobody", "by hand", "signed"), PATHS.items(), strict=True)
]


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
