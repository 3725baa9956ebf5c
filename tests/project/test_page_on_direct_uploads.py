"""The code on the page on direct uploads, run as a program of its own, and as a page in Chromium."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from playwright.async_api import Browser, Page, Route

from fastapi_filestore import Filestore, ObstoreBackend, storages
from tests.example_app.conftest import browser
from tests.project.page_programs import ROOT, blocks, run
from tests.web.models import Document
from tests.web.site import SIGNING_KEY, Site, open_site
from tests.web.uploaders_served import listening

__all__ = ["browser"]

PROGRAM = """
{blocks}


async def main():
    async def user(x_user: Annotated[str, Header()]) -> str:
        return x_user

    app.dependency_overrides[current_user_id] = user
    announced = {{"filename": "a.pdf", "content_type": "application/pdf", "size": 8}}
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test", headers={{"X-User": "ann"}})
    async with lifespan(app), client:
        for url, kind in (("/scans/", "json"), ("/letters", "data")):
            upload = (await client.post("/scans/uploads", json=announced)).json()
            direct = upload["direct"]
            await client.request(direct["method"], direct["url"], content=b"%PDF-1.7", headers=direct["headers"])
            answers = [await client.post(url, **{{kind: {{"title": "t", "upload": upload["id"]}}}}) for _ in range(2)]
            print([answer.status_code for answer in answers])
        rows = (await client.get("/scans/")).json()["items"]
        print(sorted(row["title"] for row in rows), {{(await client.get(row["file"]["url"])).content for row in rows}})
    await engine.dispose()


asyncio.run(main())
"""
PAGE = """<!doctype html><meta charset="utf-8"><title>upload</title><input type="file">
<script>
{script}
window.shares = [];
document.querySelector("input").onchange = async (event) => {{
  window.row = await upload(event.target.files[0], "from a page", (share) => window.shares.push(share));
}};
</script>
"""


def test_the_page_on_direct_uploads(tmp_path: Path) -> None:
    """A client stores by itself, and a row of the router and one of a route of one's own take it, once."""
    program = PROGRAM.format(blocks="\n".join(blocks("docs/direct-uploads.md")))

    assert run(program, tmp_path) == "[201, 409]\n[201, 409]\n['Letter: t', 't'] {b'%PDF-1.7'}\n"


def build(app: FastAPI, files: Filestore) -> None:
    """Mount rows that take uploads where the page has them, and a page with its script."""
    app.include_router(files.router(Document, uploads=True), prefix="/scans")
    app.include_router(files.signed_router())
    (script,) = re.findall(r"```js\n(.*?)```", (ROOT / "docs" / "direct-uploads.md").read_text(), re.DOTALL)

    @app.get("/")
    def page() -> HTMLResponse:
        return HTMLResponse(PAGE.format(script=script))


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """An application with its files on the disk."""
    backend = ObstoreBackend(key="web", fs=(tmp_path / "files").as_uri())
    storages.register_backend(backend)
    url = f"sqlite+aiosqlite:///{tmp_path}/web.db"
    async with open_site(backend, url, build=build, signing_keys=[SIGNING_KEY]) as site:
        yield site
        await site.check()
    storages.unregister_backend("web")


async def send_by_page(page: Page, url: str, path: Path, content: bytes) -> tuple[Any, list[float]]:
    """Choose a file on the page, and return its row and what was told of the progress."""
    await asyncio.to_thread(path.write_bytes, content)
    await page.goto(url)
    await page.locator("input").set_input_files(path)
    await page.wait_for_function("() => window.row")
    row, shares = await page.evaluate("() => [window.row, window.shares]")
    return row, shares


async def test_the_script_in_a_browser(site: Site, browser: Browser, tmp_path: Path) -> None:
    """Chromium stores a file by itself, tells how far it is, and has its row at the end."""
    content = bytes(range(256)) * 8192
    async with listening(site.app) as url:
        row, shares = await send_by_page(await browser.new_page(), url, tmp_path / "ä.bin", content)

    assert (row["title"], row["file"]["filename"], row["file"]["size"]) == ("from a page", "ä.bin", len(content))
    assert (await site.client.get(row["file"]["url"])).content == content
    assert shares == sorted(shares)
    assert shares[-1] == 1


async def test_answers_that_are_lost(site: Site, browser: Browser, tmp_path: Path) -> None:
    """A file that was stored is claimed though nobody told the page so, and a row that was made is found again."""
    lost = dict[str, int]()

    async def lose_first(route: Route) -> None:
        asked = route.request
        if asked.method == "GET" or asked.method + asked.url in lost:
            await route.continue_()
            return
        sent = b"content" if asked.method == "PUT" else asked.post_data_buffer  # browsers don't show files
        answer = await site.client.request(asked.method, asked.url, content=sent, headers=asked.headers)
        lost[asked.method + asked.url] = answer.status_code
        await route.abort()

    async with listening(site.app) as url:
        page = await browser.new_page()
        await page.route("**/*", lose_first)
        row, _ = await send_by_page(page, url, tmp_path / "lost.bin", b"content")

    assert list(lost.values()) == [201, 201, 201], lost
    assert (await site.client.get(row["file"]["url"])).content == b"content"
    assert await site.rows(Document) == 1
