"""Hostile files, opened in a real browser: none of their scripts ever runs."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress

import pytest
from playwright.async_api import Browser, BrowserContext, Page
from playwright.async_api import Error as BrowserError

from tests.example_app.app import DOCUMENTS, App
from tests.security.canary import Canary, run_canary
from tests.security.conftest import Server, stored_file
from tests.security.hostile import FILES, OWNED

GRACE = 200
"""Milliseconds that a script may take from its start to its beacon."""
TABS = 4
"""A tab of its own for each file takes long to make."""
EMBEDDED = "<iframe src={0}></iframe><img src={0}><link rel=stylesheet href={0}><script src={0}></script>"
PLUGGED_IN = "<object data={0}></object><embed src={0}>"
"""For what runs where nothing is defended, and for PDFs: each is one more frame, which takes long to make."""
LOADED = "<script src={0}></script>"


@pytest.fixture(scope="module")
def canary() -> Iterator[Canary]:
    """A host of the attacker's."""
    with run_canary() as canary:
        yield canary


@pytest.fixture(scope="module", params=["router", "example"] if "EVERY_KIND" in os.environ else ["router"])
def uploaded(request: pytest.FixtureRequest, canary: Canary) -> dict[str, str]:
    """The URLs of all hostile files, stored by two applications."""
    site: Server | App = request.getfixturevalue("server" if request.param == "router" else "shared_app")
    collection = "/tickets/" if request.param == "router" else DOCUMENTS
    return {
        name: stored_file(
            site, collection, file.filename, file.content(canary.beacon(name)), file.content_type, title=name
        )
        for name, file in FILES.items()
    }


@pytest.fixture
async def tabs(browser: Browser, canary: Canary) -> AsyncIterator[BrowserContext]:
    """A window without a past."""
    canary.hits.clear()
    async with await browser.new_context() as context:
        yield context


async def opened(tab: Page, url: str) -> set[str]:
    """Open a URL, give scripts time to run, and return the titles that are seen; a download ends the navigation."""
    with suppress(BrowserError):
        await tab.goto(url)
    await tab.wait_for_timeout(GRACE)
    return {await frame.title() for frame in tab.frames}


async def opened_each(tabs: BrowserContext, urls: Iterable[str]) -> set[str]:
    """Open each URL by itself, in a few tabs, and return the titles that are seen."""
    waiting, titles = list(urls), set[str]()

    async def open_some(tab: Page) -> None:
        while waiting:
            titles.update(await opened(tab, waiting.pop()))

    await asyncio.gather(*[open_some(await tabs.new_page()) for _ in range(TABS)])
    return titles


async def test_the_canary_sings(tabs: BrowserContext, canary: Canary) -> None:
    """A host without defences runs the same files, so silence elsewhere means that nothing ran."""
    hosted = {
        name: canary.show(f"/{name}", file.content_type, file.content(canary.beacon(name)))
        for name, file in FILES.items()
    }
    titles = await opened_each(tabs, hosted.values())
    direct = set(canary.hits)
    canary.hits.clear()
    await opened(await tabs.new_page(), canary.show("/loaded", "text/html", page_of([hosted["javascript"]], LOADED)))

    assert {name for name, file in FILES.items() if file.runs} <= direct
    assert OWNED in titles
    assert set(canary.hits) == {"javascript"}


async def test_a_file_that_is_opened_runs_nothing(
    tabs: BrowserContext, canary: Canary, uploaded: dict[str, str]
) -> None:
    """Whatever a file claims to be, following its link shows it inert or downloads it."""
    titles = await opened_each(tabs, uploaded.values())

    assert canary.hits == []
    assert OWNED not in titles


async def test_a_page_elsewhere_runs_nothing(tabs: BrowserContext, canary: Canary, uploaded: dict[str, str]) -> None:
    """Frames, objects, pictures, styles and scripts of another origin's page get nothing that runs."""
    url = canary.show("/elsewhere", "text/html", embedding(uploaded))
    titles = await opened(await tabs.new_page(), url)

    assert canary.hits == []
    assert OWNED not in titles


async def test_a_page_of_the_application_runs_nothing(
    tabs: BrowserContext, canary: Canary, uploaded: dict[str, str]
) -> None:
    """Nor do frames, objects, pictures, styles and scripts of a page that would run scripts of its own origin."""
    url = uploaded["html"] + "/page"
    await tabs.route(url, lambda route: route.fulfill(content_type="text/html", body=embedding(uploaded)))
    titles = await opened(await tabs.new_page(), url)

    assert canary.hits == []
    assert OWNED not in titles


def embedding(uploaded: Mapping[str, str]) -> bytes:
    """Return a page that embeds all files."""
    plugged_in = [url for name, url in uploaded.items() if FILES[name].runs or "pdf" in name]
    return page_of(list(uploaded.values()), EMBEDDED) + page_of(plugged_in, PLUGGED_IN)


def page_of(urls: Sequence[str], elements: str) -> bytes:
    """Return a page that embeds each URL in every way."""
    return b"<!doctype html><title>page</title>" + "".join(elements.format(url) for url in urls).encode()
