"""Uploaders of browsers with their defaults, in Chromium: Uppy, FilePond and Dropzone, and a plain form."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.responses import HTMLResponse, Response
from playwright.async_api import Browser, Page

from fastapi_filestore import Filestore
from tests.example_app.visit import png, write
from tests.web.conftest import Serve
from tests.web.models import Document, Measurement
from tests.web.site import Site
from tests.web.uploaders_served import bundled, listening

PAGE = """<!doctype html><meta charset="utf-8"><title>{library}</title>
<script>
  window.endpoint = "/measurements/";
  window.options = {options};
  window.told = new Promise((resolve) => {{ window.ended = resolve; }});
</script>
{body}
<script type="module" src="/{library}.js"></script>
"""
BODIES = {
    "uppy": '<input type="file" multiple>',
    "filepond": '<input type="file" name="file" multiple>',
    "dropzone": '<form action="/measurements/" class="dropzone"></form>',
}
INPUTS = {"uppy": "input", "filepond": ".filepond--browser", "dropzone": ".dz-hidden-input"}
"""Where each of them takes files from."""
PLAIN = """<!doctype html><meta charset="utf-8"><title>form</title>
<form action="/documents/" method="post" enctype="multipart/form-data">
  <input type="hidden" name="_charset_"> <input name="title" value="Maß"> <input name="pages" type="number">
  <input name="day" type="date"> <select name="kind"><option value="">any</option></select>
  <input name="file" type="file"> <button>send</button>
</form>
"""


@dataclass(frozen=True, slots=True)
class Visitor:
    """A browser's page, and the application that it sends files to."""

    page: Page
    site: Site
    url: str

    async def send(self, library: str, *files: Path, options: str = "{}") -> list[Any]:
        """Open the page of an uploader, choose files, and return what it is told of each."""
        await self.page.goto(f"{self.url}/{library}?options={options}")
        await self.page.locator(INPUTS[library]).set_input_files(files)
        told: list[Any] = await self.page.evaluate("() => window.told")
        return told


def build(app: FastAPI, files: Filestore) -> None:
    """Mount rows without fields that are needed, rows with some, and the pages."""
    app.include_router(files.router(Measurement), prefix="/measurements")
    app.include_router(files.router(Document), prefix="/documents")

    @app.get("/form")
    def form() -> HTMLResponse:
        return HTMLResponse(PLAIN)

    @app.get("/{library}.js")
    def script(library: str) -> Response:
        return Response(bundled(library), media_type="text/javascript")

    @app.get("/{library}")
    def page(library: str, options: str) -> HTMLResponse:
        return HTMLResponse(PAGE.format(library=library, options=options, body=BODIES[library]))


@pytest.fixture
async def visitor(browser: Browser, serve: Serve) -> AsyncIterator[Visitor]:
    """A page, and an application."""
    async with (
        serve(build=build, shared=True) as site,
        listening(site.app) as url,
        await browser.new_context() as context,
    ):
        yield Visitor(await context.new_page(), site, url)
        await site.check()


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """Two files with names of many letters."""
    return [write(tmp_path, 'größe "1" %41.txt', b"content"), write(tmp_path, "表.png", png(1, 1, grey=0))]


@pytest.mark.works_with("Uppy", "FilePond", "Dropzone")
@pytest.mark.parametrize("library", BODIES)
async def test_an_uploader_works_with_its_defaults(visitor: Visitor, library: str, photos: list[Path]) -> None:
    """Each file that a visitor chooses is stored, under its name, and the uploader is told of the new row."""
    told = await visitor.send(library, *photos)

    assert sorted(each["file"]["filename"] for each in told) == sorted(path.name for path in photos)
    assert sorted(each["file"]["size"] for each in told) == sorted(path.stat().st_size for path in photos)
    assert await visitor.site.rows(Measurement) == 2


@pytest.mark.parametrize(
    ("library", "options", "said"),
    [
        ("dropzone", {"chunking": True, "chunkSize": 5}, "set Dropzone's option `chunking` to false"),
        ("filepond", {"chunkUploads": True, "chunkSize": 5}, "FilePond's `chunkUploads`"),
    ],
)
async def test_chunks_are_refused_with_their_option(
    visitor: Visitor, library: str, options: dict[str, Any], said: str, photos: list[Path]
) -> None:
    """An uploader that cuts files is told so, and its owner what to turn off; nothing is stored."""
    async with visitor.page.expect_response(lambda response: response.request.method == "POST") as answered:
        told = await visitor.send(library, photos[0], options=json.dumps(options))
    answer = await answered.value

    assert said in (await answer.json())["detail"]
    assert len(told) == 1
    assert await visitor.site.rows(Measurement) == 0
    assert await visitor.site.keys() == set()


async def test_whole_chunks_are_files(visitor: Visitor, photos: list[Path]) -> None:
    """Dropzone's chunks are no chunks as long as files are smaller."""
    told = await visitor.send("dropzone", photos[0], options=json.dumps({"chunking": True, "forceChunking": True}))

    assert len(told) == 1
    assert await visitor.site.rows(Measurement) == 1


async def test_a_plain_form_is_sent(visitor: Visitor, photos: list[Path]) -> None:
    """Inputs that nobody filled in were not sent, and text and names are what the visitor sees."""
    await visitor.page.goto(f"{visitor.url}/form")
    await visitor.page.locator("input[name=file]").set_input_files(photos[0])
    await visitor.page.get_by_role("button", name="send").click()
    await visitor.page.wait_for_url("**/documents/")
    row = json.loads(await visitor.page.inner_text("body"))

    assert (row["title"], row["pages"], row["day"], row["kind"]) == ("Maß", None, None, "letter")
    assert row["file"]["filename"] == photos[0].name
