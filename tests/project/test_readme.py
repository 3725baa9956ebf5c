"""The words of the README, and of the pages that go on from it, run."""

import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from fastapi_filestore import FileObject, UploadError
from tests.servers.process import free_ports
from tests.web.site import SIGNING_KEY

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    *(ROOT / "docs" / f"{name}.md" for name in ("uploads", "downloads", "signed-urls", "testing")),
]


def _blocks(language: str) -> list[str]:
    """Return the blocks of the pages, each once, in the order of the pages."""
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    return list(dict.fromkeys(re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)))


@pytest.fixture
def application(tmp_path: Path) -> str:
    """The README's application and its hand-written routes, pasted into a file."""
    application, route, stream = _blocks("python")[:3]
    (download,) = (block for block in _blocks("python") if "files.download(" in block)
    (confirmed,) = (block for block in _blocks("python") if "files.signed_router(" in block)
    blocks = (application, route, stream, download, confirmed)
    (tmp_path / "app.py").write_text("\n".join(blocks), encoding="utf-8")
    return application


@pytest.fixture
def client(application: str, tmp_path: Path) -> Iterator[httpx.Client]:
    """A client of it, served as the page says, that waits for its start."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "uvicorn", "app:app", "--port", str(port), "--log-level", "warning"]
    transport = httpx.HTTPTransport(retries=8)
    environment = {**os.environ, "FILESTORE_SIGNING_KEYS": SIGNING_KEY}
    with subprocess.Popen(command, cwd=tmp_path, env=environment) as server:
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", transport=transport, timeout=60) as client:
                yield client
        finally:
            server.terminate()


def test_the_pasted_application_keeps_a_file(client: httpx.Client) -> None:
    """The application on the page runs as it stands, and what is uploaded comes back."""
    created = client.post("/documents/", data={"title": "Report"}, files={"file": ("r.pdf", b"%PDF-1.7")})
    url = created.json()["file"]["url"]
    by_hand = client.post("/reports", files={"file": ("r.pdf", b"%PDF-1.7")})
    streamed = client.post("/streams", files={"file": ("r.pdf", b"%PDF-1.7")})
    hand_written = url.replace("documents", "reports")

    assert (created.status_code, client.get(url).content) == (201, b"%PDF-1.7")
    assert (by_hand.status_code, streamed.status_code) == (201, 201)
    assert client.get(hand_written).content == b"%PDF-1.7"
    assert client.head(hand_written).headers["content-length"] == "8"
    assert {"get", "head"} <= client.get("/openapi.json").json()["paths"]["/reports/{id}/file"].keys()


def test_a_file_that_the_client_stored_comes_into_a_row(client: httpx.Client) -> None:
    """The page's two routes sign and confirm: a 404 before the client has stored the file, its row afterwards, once."""
    answer = client.post("/reservations", params={"filename": "r.pdf"}).json()
    confirm = partial(client.post, f"/reservations/{answer['id']}", params={"filename": "r.pdf"})
    early = confirm()
    stored = client.put(answer["url"], content=b"%PDF-1.7", headers=answer["headers"])
    confirmed = confirm()
    again = confirm()
    never = client.post(f"/reservations/{uuid4()}", params={"filename": "r.pdf"})

    assert (early.status_code, stored.status_code, confirmed.status_code) == (404, 201, 201)
    assert (again.status_code, never.status_code) == (409, 404)
    assert client.get(f"/documents/{confirmed.json()['id']}/file").content == b"%PDF-1.7"


def test_its_first_requests_may_come_at_once(client: httpx.Client) -> None:
    """Tables are made before a request is served, not by requests that get in each other's way."""
    client.get("/openapi.json")  # which needs no table
    with ThreadPoolExecutor() as threads:
        sent = [
            threads.submit(client.post, "/documents/", data={"title": f"{number}"}, files={"file": b"a"})
            for number in range(8)
        ]

    assert [each.result().status_code for each in sent] == [201] * 8


def test_its_document_has_no_name_twice(application: str, tmp_path: Path) -> None:
    """FastAPI, which warns of operations of one name, has nothing to say of the page's routes."""
    command = [sys.executable, "-W", "error::UserWarning", "-c", "import app; app.app.openapi()"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert (run.returncode, run.stderr) == (0, "")


def test_its_export_has_the_bodies_of_uploads(application: str, tmp_path: Path) -> None:
    """The script on the page writes, without a start, the document that a started application serves."""
    (export,) = (block for block in _blocks("python") if "files.describe(" in block)
    command = [sys.executable, "-c", export]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    operation = json.loads(run.stdout)["paths"]["/streams"]["post"]

    assert operation["requestBody"]["content"].keys() == {"multipart/form-data", "application/octet-stream"}
    assert {"413", "415"} <= operation["responses"].keys()


@pytest.mark.parametrize("cut", range(40))
async def test_its_virus_is_found_wherever_it_lies(cut: int) -> None:
    """The validator on the page sees a signature across the border of two chunks, and lets other bytes through."""
    names: dict[str, Any] = {"FileObject": FileObject}
    exec(next(block for block in _blocks("python") if "class NoVirus" in block).partition("class Photo")[0], names)  # noqa: S102 - ours
    content = b"abc" + names["EICAR"] + b"xyz"

    await names["NoVirus"]().validate_object(_Chunks([content[:20], b"", content[21:]]))
    with pytest.raises(UploadError):
        await names["NoVirus"]().validate_object(_Chunks([content[:cut], content[cut:]]))


class _Chunks:
    """A file that comes in these chunks."""

    filename = "a.txt"

    def __init__(self, chunks: list[bytes]) -> None:
        self._chunks = chunks

    async def open_async(self) -> AsyncIterator[bytes]:
        """Open it."""
        return self._iterate()

    async def _iterate(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk


def test_the_application_is_short(application: str) -> None:
    """It is an application of about twenty lines of code."""
    lines = [line for line in application.splitlines() if line.strip() and not line.lstrip().startswith("#")]

    assert len(lines) <= 26


def test_the_readme_is_read_in_minutes() -> None:
    """It has at most 300 lines, and leads to every page of docs/."""
    text = PAGES[0].read_text(encoding="utf-8")
    pages = {f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")}

    assert len(text.splitlines()) <= 300
    assert pages - set(re.findall(r"\((docs/[\w-]+\.md)", text)) == set()


@pytest.mark.parametrize(
    "page", sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]), ids=lambda page: page.name
)
def test_no_link_leads_nowhere(page: Path) -> None:
    """A link between pages leads to a file that is there, and to a heading that it has."""
    dead = []
    for target in re.findall(r"\]\((?!https?:|#)([^)\s]+)\)", page.read_text(encoding="utf-8")):
        path, _, heading = target.partition("#")
        file = page.parent / path
        headings = (
            re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE) if file.suffix == ".md" else []
        )
        names = {re.sub(r"[^\w -]", "", found.lower()).replace(" ", "-") for found in headings}
        if not file.exists() or (heading and heading not in names):
            dead.append(target)

    assert dead == []
