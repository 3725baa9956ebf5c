"""Names and keys that try to leave the folder of the store: whatever they are, everything stays inside."""

import re
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fastapi_filestore.errors import FilestoreError
from fastapi_filestore.storage.backend import StorageBackend
from fastapi_filestore.storage.fallbacks import copy_object
from fastapi_filestore.storage.obstore_backend import ObstoreBackend
from tests.security.conftest import Server

STEPS = st.sampled_from(
    [
        b"..", b"../", b"..\\", b"/", b"\\", b"%2e%2e%2f", b"%5c", b"%00", b"%252f", b"\0", b"\xe2\x80\xae", b"\r\n",
        b"\n", b"'", b'\\"', b"%22", b"/etc/passwd", b"C:\\", b"file://", b"~", b"$HOME", b".", b" ", b"\xed\xa0\x80",
        b"#1", b"a", b"CON",
    ]
)  # fmt: skip
NAMES = st.one_of(
    st.lists(st.one_of(STEPS, st.binary(max_size=6)), min_size=1, max_size=12).map(b"".join),
    st.lists(STEPS, min_size=1, max_size=4).map(lambda steps: b"".join(steps) * 200),
)
HEADER_NAMES = NAMES.filter(lambda name: not set(name) & {*range(32), 127})
KEY = re.compile(r"([0-9a-f]{2})/\1[0-9a-f]{30}")
KEPT = {"rows.db", "server.log", "store"}
"""What the application's folder holds; SQLite may have files of its own beside its database."""


def assert_all_inside(server: Server) -> None:
    """Assert that nothing lies beside the store, and nothing in it under a name that was not generated."""
    store = server.folder / "store"
    beside = {path.name for path in server.folder.iterdir() if not path.name.startswith("rows.db-")}
    objects = [path.relative_to(store).as_posix() for path in store.rglob("*") if path.is_file()]

    assert beside == KEPT
    assert [key for key in objects if not KEY.fullmatch(key)] == []


@settings(max_examples=60, deadline=None)
@given(NAMES, st.booleans())
def test_a_name_in_a_form_leads_nowhere(server: Server, name: bytes, quoted: bool) -> None:
    """Any bytes for a filename are refused or kept as data; the response and its headers stay whole."""
    filename = b'"' + name + b'"' if quoted else name
    assume(b"\r\n\r\n" not in filename + b"\r\n\r")  # the head would end there, and the file begin
    head = b"--b\r\nContent-Disposition: form-data; name=file; filename=" + filename + b"\r\n\r\nx\r\n"
    title = b"--b\r\nContent-Disposition: form-data; name=title\r\n\r\nt\r\n--b--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = server.client.post("/tickets/", content=head + title, headers=headers)

    assert_kept_as_data(server, answer)


@settings(max_examples=40, deadline=None)
@given(
    NAMES.filter(lambda name: not set(name) & {*range(32), 127}),
    st.sampled_from([b'filename="%b"', b"filename*=UTF-8''%b"]),
)
def test_a_name_in_a_header_leads_nowhere(server: Server, name: bytes, parameter: bytes) -> None:
    """The same for a body that is the file itself, whose name is in a header of the request."""
    headers = {b"Content-Type": b"text/plain", b"Content-Disposition": b"attachment; " + parameter % name + b"; a=b"}
    answer = server.client.post("/covers/", content=b"x", headers=headers)

    assert_kept_as_data(server, answer, field="cover")


def assert_kept_as_data(server: Server, answer: httpx.Response, *, field: str = "file") -> None:
    """Assert that an upload was refused, or that its file is downloaded under a name without a way out."""
    assert answer.status_code in {201, 400, 422}, answer.text
    assert_all_inside(server)
    if answer.status_code == 201:
        file = answer.json()[field]
        download = server.client.get(file["url"])
        assert not set(file["filename"]) & set("/\\\r\n\0\u202e")
        assert file["filename"] not in {"", ".", ".."}
        assert download.content == b"x"
        assert "set-cookie" not in download.headers


@settings(max_examples=60, deadline=None)
@given(NAMES, st.sampled_from(["/tickets/%s/file", "/articles/%s/file", "/filestore?sig=%s", "/articles/%s", "/%s"]))
def test_a_path_leads_nowhere(server: Server, name: bytes, path: str) -> None:
    """No path of a request, however it is encoded, is a way to a file of the machine."""
    encoded = "".join(f"%{byte:02x}" for byte in name)
    for spelt in (encoded, name.decode("latin-1").encode("ascii", "ignore").decode()):
        try:
            url = httpx.URL(server.url).copy_with(raw_path=(path % spelt).replace(" ", "%20").encode())
            answer = server.client.get(url)
        except (httpx.InvalidURL, httpx.LocalProtocolError):
            continue  # no client can send it

        assert answer.status_code < 500, (url, answer.text)
        assert b"root:" not in answer.content


# -- keys of the user's own ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a store, with a secret beside it and links that lead there."""
    place = tmp_path_factory.mktemp("traversal")
    (place / "secret").write_bytes(b"secret")
    root = place / "store"
    root.mkdir()
    (root / "link").symlink_to(place / "secret")
    (root / "linked").symlink_to(place, target_is_directory=True)
    return root


PIECES = ("..", ".", "/", "\\", "%2e%2e", "%2f", "\0", "link", "linked", "secret", "a", "\u202e", "~", " ", "\n")
KEYS = st.lists(st.one_of(st.sampled_from(PIECES), st.text(st.characters(), max_size=4)), min_size=1, max_size=6)


@settings(max_examples=150, deadline=None)
@given(KEYS, st.sampled_from(["", "/"]))
async def test_a_key_leads_nowhere(root: Path, pieces: list[str], separator: str) -> None:
    """Any text for a key is refused or an object inside; reading, writing, copying and deleting follow no link out."""
    await tried(ObstoreBackend("traversal", root), separator.join(pieces))

    assert outside(root) == []


def outside(root: Path) -> list[Path]:
    """Return what is not as it was beside the folder, and what lies in it but leads out."""
    place = {path.name: path for path in root.parent.iterdir()}
    changed = [path for name, path in place.items() if name not in {"secret", "store"}]
    if place["secret"].read_bytes() != b"secret":
        changed.append(place["secret"])
    links = {"link", "linked"}
    inside = [path for path in root.rglob("*") if path.name not in links or path.parent != root]
    return changed + [path for path in inside if not path.resolve().is_relative_to(root)]


async def tried(backend: StorageBackend, key: str) -> None:
    """Try everything with a key; what is read must never be the secret."""
    with suppress(FilestoreError):
        assert await (await backend.open(key)).read() != b"secret"
    with suppress(FilestoreError):
        await copy_object(backend, key, "copied")
        assert await (await backend.open("copied")).read() != b"secret"
    with suppress(FilestoreError):
        await backend.put(key, b"x")
    with suppress(FilestoreError):
        await backend.delete(key)
