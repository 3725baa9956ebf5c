"""Clients in Chromium, set up with the page's own scripts."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, Page, Request, Route

from tests.example_app.conftest import browser
from tests.resumable.conftest import SIZE, Film
from tests.resumable.line import Line
from tests.resumable.server import Server

__all__ = ["browser"]

INPUTS = {
    "uppy": ".uppy-Dashboard-input:not([webkitdirectory])",
    "parallel": ".uppy-Dashboard-input:not([webkitdirectory])",
    "page": "input",
    "pond": ".filepond--browser",
}
"""Where the pages take files from."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """A browser with a profile of its own, the line that it uses, and at which bytes it went on with uploads."""

    context: BrowserContext
    line: Line
    offsets: list[int] = field(default_factory=list)

    async def choose(self, name: str, file: Path, *, origin: str | None = None) -> Page:
        """Open a page in a tab of its own, and choose a file."""
        page = await self.context.new_page()
        page.on("request", lambda request: self._note(request))  # noqa: PLW0108 - Playwright writes to methods
        await page.goto(f"{origin or self.line.url}/pages/{name}.html")
        await page.locator(INPUTS.get(name, "input")).first.set_input_files(file)
        if await page.locator(".uppy-Root").count():
            await page.get_by_role("button", name="Upload 1 file").click()
        return page

    def _note(self, request: Request) -> None:
        if request.method == "PATCH":
            self.offsets.append(int(request.headers["upload-offset"]))


@pytest.fixture
async def visitor(browser: Browser, line: Line) -> AsyncIterator[Visitor]:
    """A visitor."""
    async with await browser.new_context() as context:
        yield Visitor(context, line)


@pytest.mark.works_with("Uppy", "tus-js-client", "FilePond")
@pytest.mark.parametrize("name", INPUTS)
async def test_a_line_that_breaks(visitor: Visitor, server: Server, name: str, film: Film) -> None:
    """An upload goes on where the line broke, and ends in a row."""
    visitor.line.breaks_after = SIZE // 6
    await visitor.choose(name, film.path)
    await asyncio.to_thread(film.check_stored, server)

    assert visitor.line.happened.is_set()
    assert max(visitor.offsets) > 0


@pytest.mark.parametrize("name", ["uppy", "page"])
async def test_a_tab_that_is_closed(visitor: Visitor, server: Server, name: str, film: Film) -> None:
    """The same file, chosen in another tab, goes on where the first one was closed."""
    visitor.line.stops_after = SIZE * 9 // 10  # all parts have begun by then
    first = await visitor.choose(name, film.path)
    await visitor.line.happened.wait()
    await first.close()
    visitor.line.let_go.set()
    await visitor.choose(name, film.path)
    await asyncio.to_thread(film.check_stored, server)

    assert max(visitor.offsets) > 0


async def test_a_claim_whose_answer_is_lost(visitor: Visitor, server: Server, film: Film) -> None:
    """A claim is sent again until it is answered, and there is one row."""
    claims = list[int]()

    async def lose(route: Route) -> None:
        claims.append((await route.fetch()).status)
        await (route.abort() if len(claims) == 1 else route.continue_())

    await visitor.context.route("**/documents/", lose)
    page = await visitor.choose("uppy", film.path)
    await page.get_by_text("Complete", exact=True).wait_for()
    await asyncio.to_thread(film.check_stored, server)

    assert claims[:2] == [201, 409]


async def test_a_claim_that_is_refused(visitor: Visitor, server: Server, film: Film) -> None:
    """A visitor learns why, and claims once more without sending anything again."""

    async def refuse(route: Route) -> None:
        await route.fulfill(status=422, json={"detail": "Not on Sundays."})

    await visitor.context.route("**/documents/", refuse, times=1)
    page = await visitor.choose("uppy", film.path)
    await page.get_by_role("button", name="Not on Sundays.").wait_for()
    await page.get_by_role("button", name="Retry").first.click()
    await asyncio.to_thread(film.check_stored, server)

    assert visitor.offsets == [0]


@pytest.mark.works_with("FilePond")
async def test_an_upload_that_is_taken_back(visitor: Visitor, server: Server, film: Film) -> None:
    """Who cancels in FilePond leaves nothing, neither parts that are there nor a trap for the same file."""
    visitor.line.stops_after = SIZE // 2
    page = await visitor.choose("pond", film.path)
    await visitor.line.happened.wait()
    await page.locator(".filepond--action-abort-item-processing").click()
    visitor.line.let_go.set()
    await page.get_by_text("Upload cancelled", exact=True).wait_for()
    await asyncio.to_thread(server.until_none_open)
    assert server.rows() == []
    await visitor.choose("pond", film.path)

    await asyncio.to_thread(film.check_stored, server)


async def test_a_file_that_is_refused(visitor: Visitor, tmp_path: Path) -> None:
    """A visitor reads why, in the server's words and nothing else."""
    (tmp_path / "notes.txt").write_text("no film")
    page = await visitor.choose("page", tmp_path / "notes.txt")
    told = page.get_by_text("video/*")

    assert (await told.inner_text()).strip().startswith("A body of type 'text/plain'")


def write_elsewhere(folder: Path, url: str) -> None:
    """Write a page that sends to another origin."""
    script = (folder / "page.js").read_text(encoding="utf-8").replace("${location.origin}", url)
    (folder / "elsewhere.js").write_text(script.replace('"/documents/"', f'"{url}/documents/"'), encoding="utf-8")
    page = (folder / "page.html").read_text(encoding="utf-8").replace("page.js", "elsewhere.js")
    (folder / "elsewhere.html").write_text(page, encoding="utf-8")


async def test_a_page_of_another_origin(visitor: Visitor, server: Server, film: Film) -> None:
    """A page of a host that the application lets in uploads, goes on where the line broke, and claims."""
    write_elsewhere(server.folder / "pages", visitor.line.url)
    visitor.line.breaks_after = SIZE // 6
    await visitor.choose("elsewhere", film.path, origin=f"http://localhost:{server.port}")
    await asyncio.to_thread(film.check_stored, server)

    assert max(visitor.offsets) > 0
