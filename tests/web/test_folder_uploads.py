"""Uploads of whole folders by Chromium: a form, a script, and Uppy; each keeps the folder of each file."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from fastapi.responses import HTMLResponse, Response
from playwright.async_api import Browser, Page

from fastapi_filestore import FileService, Filestore, Uploads
from tests.web.conftest import Serve
from tests.web.models import Album, Measurement
from tests.web.site import Site
from tests.web.uploaders_served import bundled, listening

PAGE = """<!doctype html><meta charset="utf-8"><title>folder</title>
<form action="/albums" method="post" enctype="multipart/form-data">
  <input type="file" name="files" webkitdirectory multiple> <button>send</button>
</form>
<script>
  window.endpoint = "/measurements/";
  window.told = new Promise((resolve) => { window.ended = resolve; });
  async function send() {
    const form = new FormData();
    for (const file of document.querySelector("input").files) form.append("files", file, file.webkitRelativePath);
    return await (await fetch("/albums", { method: "POST", body: form })).json();
  }
</script>
"""
KEPT = ["photos/2026:b.txt", "photos:a.txt"]


def build(app: FastAPI, files: Filestore) -> None:
    """Mount the pages, a route of one's own and a router."""
    app.include_router(files.router(Measurement, keep_folders=True), prefix="/measurements")

    @app.post("/albums")
    async def album(
        uploads: Annotated[Uploads, Depends(files.uploads(max_files=9, keep_folders=True))],
        service: Annotated[FileService[Album], Depends(files.service(Album))],
    ) -> list[str]:
        row = await service.create({"photos": uploads})
        return sorted(f"{file.folder}:{file.filename}" for file in row.photos or [])

    @app.get("/form")
    def form() -> HTMLResponse:
        return HTMLResponse(PAGE)

    @app.get("/uppy")
    def uppy() -> HTMLResponse:
        return HTMLResponse(f'{PAGE}<script type="module" src="/uppy.js"></script>')

    @app.get("/uppy.js")
    def script() -> Response:
        return Response(bundled("uppy-folders"), media_type="text/javascript")


@pytest.fixture
async def page(browser: Browser, serve: Serve) -> AsyncIterator[tuple[Page, str, Site]]:
    """A page, the address of the application, and the application."""
    async with (
        serve(build=build, shared=True) as site,
        listening(site.app) as url,
        await browser.new_context() as context,
    ):
        yield await context.new_page(), url, site
        await site.check()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a file, and one in a folder below."""
    (tmp_path / "photos" / "2026").mkdir(parents=True)
    (tmp_path / "photos" / "a.txt").write_bytes(b"a")
    (tmp_path / "photos" / "2026" / "b.txt").write_bytes(b"b")
    return tmp_path / "photos"


async def test_a_form_sends_folders_in_names(page: tuple[Page, str, Site], folder: Path) -> None:
    """Chromium's own form with `webkitdirectory` sends each file's path as its name."""
    opened, url, _ = page
    await opened.goto(f"{url}/form")
    await opened.locator("input").set_input_files(folder)
    await opened.get_by_role("button", name="send").click()
    await opened.wait_for_url("**/albums")

    assert json.loads(await opened.inner_text("body")) == KEPT


async def test_a_script_sends_folders_in_names(page: tuple[Page, str, Site], folder: Path) -> None:
    """So does a script that gives `webkitRelativePath` as the name."""
    opened, url, _ = page
    await opened.goto(f"{url}/form")
    await opened.locator("input").set_input_files(folder)

    assert await opened.evaluate("send()") == KEPT


async def test_uppy_sends_folders_in_a_field(page: tuple[Page, str, Site], folder: Path) -> None:
    """Uppy sends the path of each file in a field, `relativePath`, to the router."""
    opened, url, _ = page
    await opened.goto(f"{url}/uppy")
    await opened.locator("input").set_input_files(folder)
    told: list[Any] = await opened.evaluate("() => window.told")

    assert sorted(f"{row['file']['metadata']['folder']}:{row['file']['filename']}" for row in told) == KEPT
