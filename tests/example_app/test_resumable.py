"""Large files, whose uploads go on where they were cut off, in a real browser."""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, Route, expect

from tests.example_app.app import App, run_app
from tests.example_app.visit import MEGABYTE, Visit, write
from tests.servers.process import free_ports

WATCH = """() => {
    const acknowledged = new Map(), flying = new Map(), seen = window.seen = [];
    const fetched = window.fetch;
    window.fetch = async (url, options = {}) => {
        const isPart = options.method === "PATCH";
        if (isPart) flying.set(url, options.body.size);
        try {
            const answer = await fetched(url, options);
            const offset = Number(answer.headers.get("Upload-Offset"));
            acknowledged.set(url, Math.max(offset, acknowledged.get(url) ?? 0));
            return answer;
        } finally {
            if (isPart) flying.delete(url);
        }
    };
    const sum = (numbers) => [...numbers.values()].reduce((total, number) => total + number, 0);
    setInterval(() => {
        const bars = "#overall progress, .upload:not([data-state=stored]) progress[value]";
        const shown = [...document.querySelectorAll(bars)];
        if (shown.length) seen.push([Math.max(...shown.map((bar) => bar.value)), sum(acknowledged) + sum(flying)]);
    }, 50);
}"""
"""Note every 50 ms how many bytes are shown, and how many may be: those acknowledged and those in flight."""


@pytest.fixture
async def context(browser: Browser) -> AsyncIterator[BrowserContext]:
    """A browser that remembers nothing yet."""
    async with await browser.new_context(reduced_motion="reduce") as context:
        await context.add_init_script(f"({WATCH})()")
        yield context


async def shown(visit: Visit) -> list[tuple[int, int]]:
    """Return how many bytes were shown every 50 ms, each beside how many could be."""
    seen: list[tuple[int, int]] = await visit.page.evaluate("() => window.seen")
    return seen


async def test_an_upload_goes_on_when_the_server_was_killed(context: BrowserContext, tmp_path: Path) -> None:
    """Nobody has to do anything, no byte is sent in vain but those in flight, and no more are shown than there are."""
    content = os.urandom(60 * MEGABYTE)
    [port] = free_ports(1)
    with run_app(folder=tmp_path, port=port) as killed:
        visit = await Visit.begin(context, killed.url)
        await visit.throttle(20 * MEGABYTE)
        await visit.choose(write(tmp_path, "holiday.mp4", content))
        await visit.until_sent(20 * MEGABYTE)
    await expect(visit.uploading("holiday.mp4")).to_contain_text("Waiting for the server")
    with closing(sqlite3.connect(tmp_path / "documents.db")) as database, database:
        database.execute("UPDATE filestore_uploads SET lease = 0")  # as when fifteen seconds have passed
    with run_app(folder=tmp_path, port=port) as app:
        await visit.document("holiday.mp4").wait_for(timeout=60_000)
        seen = await shown(visit)

        assert [app.content(item["id"]) for item in app.listed()] == [content]
    bytes_shown = [shown for shown, _ in seen]
    assert len(set(bytes_shown)) > 5
    assert bytes_shown == sorted(bytes_shown)
    assert [pair for pair in seen if pair[0] > pair[1]] == []


async def test_an_upload_goes_on_in_another_tab(context: BrowserContext, app: App, tmp_path: Path) -> None:
    """The page says what a closed tab left, and goes on from there when the same file is chosen again."""

    async def dawdle(route: Route) -> None:
        if route.request.method == "HEAD":
            await asyncio.sleep(0.3)
        await route.continue_()

    file = write(tmp_path, "long.bin", os.urandom(12 * MEGABYTE))
    first = await Visit.begin(context, app.url)
    await first.throttle(4 * MEGABYTE)
    await first.choose(file)
    await first.until_sent(MEGABYTE)
    await first.page.close()

    second = await Visit.begin(context, app.url)
    await second.page.route("**/uploads/*", dawdle)
    await expect(second.uploading("long.bin")).to_contain_text("Unfinished")
    async with second.page.expect_file_chooser() as chooser:
        await second.page.get_by_role("button", name="Choose the file again for the upload of long.bin").click()
    await (await chooser.value).set_files(file)
    await second.document("long.bin").wait_for(timeout=60_000)
    bytes_shown = [number for number, _ in await shown(second)]

    assert bytes_shown == sorted(bytes_shown)
    assert f"{app.url}/documents/uploads" not in second.requests
    assert [app.content(item["id"]) for item in app.listed()] == [file.read_bytes()]
    assert await second.page.evaluate("() => localStorage.length") == 0


async def test_pause_and_resume(visit: Visit, app: App, tmp_path: Path) -> None:
    """A paused upload stands still, and goes on from there; speed and time left are told while it runs."""
    file = write(tmp_path, "long.bin", os.urandom(12 * MEGABYTE))
    await visit.throttle(4 * MEGABYTE)
    await visit.choose(file)

    await expect(visit.page.locator("#overall")).to_contain_text("left", timeout=30_000)
    await expect(visit.uploading("long.bin")).to_contain_text("left")
    await visit.page.get_by_role("button", name="Pause the upload of long.bin").click()
    await expect(visit.uploading("long.bin")).to_contain_text("Paused · ")
    before = await visit.uploading("long.bin").inner_text()
    await visit.page.wait_for_timeout(500)
    after = await visit.uploading("long.bin").inner_text()
    await visit.throttle(-1)
    await visit.page.get_by_role("button", name="Resume the upload of long.bin").click()
    await visit.document("long.bin").wait_for()

    assert before == after
    assert visit.requests.count(f"{app.url}/documents/uploads") == 1
    assert [app.content(item["id"]) for item in app.listed()] == [file.read_bytes()]


async def test_a_refused_upload_is_chosen_again_and_dismissed(visit: Visit, app: App, tmp_path: Path) -> None:
    """A file that is chosen again takes the place of its refused upload; dismissed, nothing of it is left."""
    refusal = {"detail": "Not on Sundays."}
    await visit.page.route("**/documents/", lambda route: route.fulfill(status=422, json=refusal))
    file = write(tmp_path, "long.bin", os.urandom(9 * MEGABYTE))
    for _ in range(2):
        await visit.choose(file)
        await expect(visit.uploading("long.bin").get_by_role("alert")).to_have_text("Not on Sundays.")
    begun = visit.requests.count(f"{app.url}/documents/uploads")
    async with visit.page.expect_response("**/uploads/*") as ended:
        await visit.page.get_by_role("button", name="Dismiss the upload of long.bin").click()

    assert (await ended.value).status == 204
    assert begun == 1
    assert await visit.page.evaluate("() => localStorage.length") == 0
    await expect(visit.uploading("long.bin")).to_have_count(0)


async def test_a_large_file_replaces_another(visit: Visit, app: App, tmp_path: Path) -> None:
    """The file of a document is replaced in the same way."""
    identity = app.add("draft.txt", b"draft")
    file = write(tmp_path, "final.bin", os.urandom(9 * MEGABYTE))
    await visit.open()

    async with visit.page.expect_file_chooser() as chooser:
        await visit.page.get_by_role("button", name="Replace the file of draft.txt").click()
    await (await chooser.value).set_files(file)
    await expect(visit.document("draft.txt")).to_contain_text("final.bin")

    assert app.content(identity) == file.read_bytes()
    assert len(app.files_on_disk()) == 1


async def test_an_answer_that_was_lost_makes_no_second_row(visit: Visit, app: App, tmp_path: Path) -> None:
    """When the connection breaks as the row is there, the next try finds that row."""
    lost: list[str] = []

    async def lose(route: Route) -> None:
        if route.request.method != "POST" or lost:
            return await route.continue_()
        lost.append((await route.fetch()).headers["location"])
        return await route.abort()

    await visit.page.route("**/documents/", lose)
    await visit.upload(write(tmp_path, "once.bin", os.urandom(9 * MEGABYTE)))

    assert [f"/documents/{item['id']}" for item in app.listed()] == lost
