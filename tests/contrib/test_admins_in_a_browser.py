"""Files on the pages of admins, as somebody with a browser edits them."""

import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from pathlib import Path
from urllib.request import urlopen

import pytest
from playwright.async_api import Browser, Page, async_playwright

from tests.contrib.admins import ADMINS, Admin
from tests.contrib.people import last_person, stored
from tests.example_app.conftest import FLAGS
from tests.servers.process import LOOPBACK, free_ports, running, served

ROOT = Path(__file__).parents[2]


@dataclass
class Visit:
    """A page of a browser that shows an admin."""

    page: Page
    url: str
    admin: Admin
    folder: Path

    async def go_to(self, page: str) -> None:
        """Open a page of the admin."""
        await self.page.goto(self.url + self.admin.url(page))

    async def choose(self, column: str, *names: str) -> None:
        """Choose files, each with its name as its content."""
        paths = [self.folder / name for name in names]
        for path in paths:
            path.write_text(path.stem)
        await self.page.locator(f"input[type=file][name={column}]").set_input_files(paths)

    async def tick(self, column: str, number: int = 0) -> None:
        """Tick the box that removes a file."""
        await self.page.locator(f"input[type=checkbox][name='{self.admin.box.format(column)}']").nth(number).check()

    async def linked(self, name: str) -> str:
        """Return the text that a link of the page leads to."""
        url = await self.page.get_by_role("link", name=name).first.evaluate("link => link.href")
        return await (await self.page.request.get(url)).text()

    async def save(self) -> None:
        """Send the form, which leads to the list."""
        await (
            self.page.get_by_role("button", name="Save", exact=True)
            .or_(self.page.locator("input[type=submit][value=Save]"))
            .first.click()
        )
        await self.page.wait_for_url("**/list*")


@contextmanager
def run(admin: Admin, folder: Path) -> Iterator[str]:
    """Run the application as a process; its address."""
    [port] = free_ports(1)
    url = f"http://{LOOPBACK}:{port}"
    factory = ("--app-dir", ROOT, "--factory", "tests.contrib.admins:build")
    command = (sys.executable, "-m", "uvicorn", "--host", LOOPBACK, "--port", str(port), *factory)

    def is_ready() -> bool:
        with urlopen(f"{url}/admin/") as answer:
            return bool(answer.status == HTTPStatus.OK)

    environment = {**os.environ, "ADMIN": admin.name, "FOLDER": str(folder)}
    with running(command, folder=folder, ready=is_ready, environment=environment):
        yield url


@pytest.fixture(scope="module")
async def browser(chromium: str) -> AsyncIterator[Browser]:
    """A Chromium without a window."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        await browser.close()


@pytest.fixture(params=list(ADMINS))
async def visit(request: pytest.FixtureRequest, browser: Browser, tmp_path: Path) -> AsyncIterator[Visit]:
    """The pages of an admin in a browser, which asks nobody else for anything."""
    admin = ADMINS[request.param]
    with served(partial(run, admin, tmp_path)) as url:
        async with await browser.new_context() as context:
            page = await context.new_page()
            await context.route(lambda asked: not asked.startswith(url), lambda route: route.abort())
            yield Visit(page, url, admin, tmp_path)


@pytest.mark.works_with("SQLAdmin", "starlette-admin")
async def test_a_life_of_files(visit: Visit) -> None:
    """Files are chosen, kept, replaced, added, cleared and downloaded, with clicks alone."""
    await visit.go_to("create")
    await visit.page.locator("input[name=name]").fill("Ada")
    await visit.choose("photo", "a.txt")
    await visit.choose("letter", "letter.txt")
    await visit.choose("certificates", "one.txt", "two.txt")
    await visit.save()
    await visit.go_to("edit")
    await visit.page.locator("input[name=name]").fill("Eve")
    await visit.save()

    row = last_person(visit.folder)
    assert (row.name, row.photo.filename, len(row.certificates)) == ("Eve", "a.txt", 2)
    assert stored(visit.folder) == {"a", "letter", "one", "two"}

    await visit.go_to("edit")
    assert [await visit.linked(name) for name in ("a.txt", "letter.txt", "two.txt")] == ["a", "letter", "two"]
    await visit.choose("photo", "b.txt")
    await visit.tick("letter")
    await visit.tick("certificates", 0)
    await visit.choose("certificates", "three.bin")
    await visit.save()
    async with visit.page.expect_download(timeout=10_000) as download:
        await visit.page.get_by_role("link", name="three.bin").click()
    await visit.page.get_by_role("link", name="b.txt").click()
    await visit.page.get_by_text("b", exact=True).wait_for()

    assert last_person(visit.folder).letter is None
    assert stored(visit.folder) == {"b", "two", "three"}
    assert (await (await download.value).path()).read_text() == "three"
