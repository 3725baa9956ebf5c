"""A running example application and a browser that looks at it."""

from collections.abc import AsyncIterator, Iterator

import pytest
from playwright.async_api import Browser, async_playwright

from tests.example_app.app import App, run_app
from tests.example_app.visit import Visit
from tests.servers.process import served

FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


@pytest.fixture(scope="session")
def shared_app() -> Iterator[App]:
    """One application for the session, on SQLite and local disk."""
    with served(run_app) as app:
        yield app


@pytest.fixture
def app(shared_app: App) -> App:
    """The shared application without any document."""
    shared_app.clear()
    return shared_app


@pytest.fixture(scope="module")
async def browser(chromium: str) -> AsyncIterator[Browser]:
    """A Chromium without a window."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        await browser.close()


@pytest.fixture
async def visit(browser: Browser, app: App) -> AsyncIterator[Visit]:
    """The page of the application, empty, watched, and with nothing from another host in the end."""
    async with await browser.new_context(reduced_motion="reduce") as context:
        visit = await Visit.begin(context, app.url)
        yield visit
        assert visit.outside() == []
