"""Forms that never end, never begin, or say two things at once: each is a problem, soon and in little memory."""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, repeat

import pytest

from tests.security.attack import attack
from tests.security.conftest import Server

MIB = 1024 * 1024
SECONDS, MEMORY = 10, 32 * MIB
"""What one refusal may cost on a busy machine; 48 MiB are sent."""

FORM = "multipart/form-data; boundary=b"
TEXT = b'--b\r\nContent-Disposition: form-data; name="title"\r\n\r\nt\r\n'
FILE = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
END = b"\r\n--b--\r\n"
Body = Callable[[], Iterable[bytes]]


def flood(piece: bytes) -> Iterator[bytes]:
    """Yield 48 MiB of a piece, over and over."""
    return repeat((piece * (65536 // len(piece) + 1))[:65536], 48 * 16)


def numbered(template: bytes) -> Iterator[bytes]:
    """Yield 20,000 parts, each with a name of its own."""
    return (b"".join(template % (block * 100 + number) for number in range(100)) for block in range(200))


def part(disposition: bytes, content: bytes = b"x") -> bytes:
    """Write a part."""
    return b"--b\r\nContent-Disposition: form-data; " + disposition + b"\r\n\r\n" + content + b"\r\n"


BAD, LARGE = (400, "malformed-upload"), (413, "upload-too-large")
MANY = (422, "too-many-files")
FLOODS: dict[str, tuple[Body, tuple[int, str]]] = {
    "endless header": (lambda: chain([FILE[:-4]], flood(b"x")), BAD),
    "endless header name": (lambda: chain([b"--b\r\n"], flood(b"x")), BAD),
    "endless headers": (lambda: chain([b"--b\r\n"], flood(b"X-A: b\r\n")), BAD),
    "thousands of files": (lambda: numbered(part(b'name="f"; filename="%d"')), MANY),
    "files behind the file": (lambda: chain([TEXT, FILE, b"\r\n"], numbered(part(b"name=f; filename=%d"))), MANY),
    "thousands of fields": (lambda: numbered(part(b'name="f%d"')), BAD),
    "fields behind the file": (lambda: chain([TEXT, FILE, b"\r\n"], numbered(part(b"name=f%d"))), BAD),
    "empty choices": (lambda: chain([TEXT], numbered(part(b'name=f%d; filename=""', b""))), BAD),
    "huge field": (lambda: chain([TEXT[:-3]], flood(b"x")), LARGE),
    "huge field behind the file": (lambda: chain([FILE, b"x\r\n", TEXT[:-3]], flood(b"x")), LARGE),
    "wrong boundary": (lambda: chain([b"--c\r\n"], flood(b"x")), BAD),
    "no boundary in the body": (lambda: flood(b"\r\n"), BAD),
    "truncated in a file": (lambda: chain([TEXT, FILE], flood(b"x")), BAD),
    "almost boundaries": (lambda: chain([TEXT, FILE], flood(b"\r\n--")), BAD),
    "line breaks": (lambda: chain([TEXT, FILE], flood(b"\r")), BAD),
    "truncated in a head": (lambda: [TEXT + FILE[:40]], BAD),
    "two filenames*": (lambda: [TEXT, part(b"name=file; filename*=UTF-8''a; filename*=UTF-8''b"), END[2:]], BAD),
    "two filenames": (lambda: [TEXT, part(b"name=file; filename=a; filename=b"), END[2:]], BAD),
    "two names": (lambda: [TEXT, part(b"name=x; name=file; filename=a"), END[2:]], BAD),
    "quote that never closes": (lambda: [part(b'name="' + b'\\"' * 3000), END[2:]], BAD),
    "thousands of parameters": (lambda: [part(b"name=a" + b";x=y" * 1900), END[2:]], BAD),
}


@pytest.fixture(scope="module", autouse=True)
def warm(server: Server) -> None:
    """Let the application have once the memory that any upload takes."""
    content = b"x" * 48 * MIB
    server.client.post("/tickets/", files={"file": ("a", content)}, data={"title": "t"}).raise_for_status()
    server.client.delete(f"/tickets/{server.client.get('/tickets/').json()['items'][0]['id']}").raise_for_status()


@pytest.mark.parametrize("case", FLOODS)
async def test_a_flood_is_a_problem(server: Server, case: str) -> None:
    """The answer comes while the client is still sending, in seconds, and the process has hardly grown."""
    body, (status, name) = FLOODS[case]
    answer = await attack(server, "POST", "/tickets/", [("Content-Type", FORM)], body())

    assert (answer.status, answer.problem["type"]) == (status, f"urn:fastapi-filestore:{name}")
    assert answer.seconds < SECONDS
    assert answer.memory < MEMORY


@pytest.mark.parametrize(
    "content_type", ["multipart/form-data", f"{FORM}; boundary=c", "multipart/form-data; boundary"]
)
async def test_a_flood_without_a_boundary_is_not_read(server: Server, content_type: str) -> None:
    """A content type that names no boundary, or two, is a problem before the body is read."""
    answer = await attack(server, "POST", "/tickets/", [("Content-Type", content_type)], flood(b"x"))

    assert (answer.status, answer.problem["type"]) == (400, "urn:fastapi-filestore:malformed-upload")
    assert answer.seconds < SECONDS
    assert answer.memory < MEMORY


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (lambda: flood(b" "), 413),
        (lambda: chain([b'{"title": "'], flood(b"x")), 413),
        (lambda: (b'{"k%d": ' % number + b'"v",' * 10 for number in range(100_000)), 413),
        (lambda: [b"{" + b",".join(b'"%x":1' % number for number in range(80_000)) + b"}"], 422),
        (lambda: [b'{"title": [' + b"{}," * 300_000 + b"0]}"], 422),
        (lambda: [b"[" * 60_000], 422),
        (lambda: [b'{"a":' * 10_000], 422),
        (lambda: [b'{"title": ' + b"9" * 60_000 + b"}"], 422),
        (lambda: [b'{"title": "\\ud800"}'], 422),
    ],
)
async def test_a_flood_of_json_is_a_problem(server: Server, body: Body, status: int) -> None:
    """Endless, deep or senseless JSON is refused likewise."""
    [pushed] = [server.client.post("/tickets/", files={"file": ("a", b"x")}, data={"title": "t"}).json()["id"]]
    answer = await attack(server, "PATCH", f"/tickets/{pushed}", [("Content-Type", "application/json")], body())

    assert (answer.status, answer.problem["status"]) == (status, status)
    assert answer.seconds < SECONDS
    assert answer.memory < MEMORY


async def test_nothing_is_left_of_a_flood(server: Server) -> None:
    """After all of it there is no row but those that were meant, each with its object, and no error was logged."""
    rows = server.client.get("/tickets/", params={"limit": 100}).json()["items"]
    objects = [path for path in (server.folder / "store").rglob("*") if path.is_file()]

    assert len(rows) == len(objects)
    assert "Traceback" not in server.log()
