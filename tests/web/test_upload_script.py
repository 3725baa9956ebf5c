"""The script for uploads that go on where they were cut off, on a page of one's own: the one that docs/ shows."""

import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from playwright.async_api import Browser, Page, Route, expect

from fastapi_filestore import Filestore
from tests.example_app.visit import write
from tests.web.conftest import Serve
from tests.web.models import Document
from tests.web.site import Site
from tests.web.uploaders_served import listening

TEXT = (Path(__file__).parents[2] / "docs" / "upload-script.md").read_text()
[PAGE] = re.findall(r"```html\n(.*?)```", TEXT, re.DOTALL)
[MOUNTED] = re.findall(r"^app\.mount\(.*\)$", TEXT, re.MULTILINE)


def build(app: FastAPI, files: Filestore) -> None:
    """Serve the page, the script as the page on it says, and the router."""
    from fastapi.staticfiles import StaticFiles  # noqa: PLC0415 - for the line that is run

    app.include_router(files.router(Document, uploads=True), prefix="/documents")
    exec(MOUNTED, {"app": app, "StaticFiles": StaticFiles})  # noqa: S102 - it is ours

    @app.get("/page")
    def page() -> HTMLResponse:
        return HTMLResponse(f"<!doctype html><meta charset=utf-8>{PAGE}")


@pytest.fixture
async def site(serve: Serve) -> AsyncIterator[Site]:
    """An application with the page."""
    async with serve(build=build, shared=True) as site:
        yield site
        await site.check()


@pytest.fixture
async def page(browser: Browser, site: Site) -> AsyncIterator[Page]:
    """The page of docs/ in a browser."""
    async with listening(site.app) as url, await browser.new_context() as context:
        page = await context.new_page()
        await page.goto(f"{url}/page")
        yield page


async def choose(page: Page, file: Path) -> None:
    """Choose a file on the page."""
    await page.locator("input").set_input_files(file)


async def test_the_page_of_the_docs(page: Page, site: Site, tmp_path: Path) -> None:
    """What docs/upload-script.md shows sends a file as it is, under its name."""
    file = write(tmp_path, 'größe "1" 表.bin', os.urandom(3_000_000))

    await choose(page, file)
    await expect(page.locator("output")).to_have_text(f"{file.name} is stored.")
    [row] = (await site.client.get("/documents/")).json()["items"]

    assert (row["title"], row["file"]["filename"]) == (file.name, file.name)
    assert (await site.client.get(row["file"]["url"])).content == file.read_bytes()
    assert await page.locator("progress").evaluate("bar => bar.value") == file.stat().st_size


async def test_an_empty_file(page: Page, site: Site, tmp_path: Path) -> None:
    """A file without a byte is a file."""
    await choose(page, write(tmp_path, "empty.bin", b""))
    await expect(page.locator("output")).to_have_text("empty.bin is stored.")

    assert await site.rows(Document) == 1


async def test_what_passes_is_tried_again(page: Page, site: Site, tmp_path: Path) -> None:
    """Answers of proxies and limits, and an upload that has ended meanwhile, are no end."""
    answers: list[dict[str, Any] | None] = [{"status": 502}, {"status": 429, "headers": {"Retry-After": "1"}}, None]

    async def fail(route: Route) -> None:
        if route.request.method != "PATCH" or not answers:
            return await route.continue_()
        answer = answers.pop()
        if answer is not None:
            return await route.fulfill(**answer)
        await site.client.delete(route.request.url)
        return await route.continue_()

    await page.route("**/uploads/*", fail)
    await choose(page, write(tmp_path, "a.bin", os.urandom(600_000)))
    await expect(page.locator("output")).to_have_text("a.bin is stored.", timeout=20_000)

    assert answers == []
    assert await site.rows(Document) == 1


async def test_a_refusal_is_told(page: Page, tmp_path: Path) -> None:
    """What the server does not take is said in its words, at once."""
    problem = {"detail": "It is too large."}
    await page.route("**/uploads", lambda route: route.fulfill(status=413, json=problem))
    await choose(page, write(tmp_path, "a.bin", b"a"))

    await expect(page.locator("output")).to_have_text("It is too large.")


SENT_TWICE = """async (name) => {
    const { ResumableUpload, unfinished } = await import("/modules/resumable.js");
    const send = (title, onChange) => {
        const file = new File([new Uint8Array(600_000)], name, { lastModified: 0 });
        return new ResumableUpload(file, { router: "/documents/", fields: { title }, onChange }).run();
    };
    let second;
    const first = await send("first", ({ acknowledged }) => {
        if (acknowledged) second ??= send("second");
    });
    return [first.title, (await second).title, unfinished().length];
}"""


async def test_a_file_that_is_sent_twice(page: Page, site: Site) -> None:
    """Two uploads of one file at a time are two rows; neither asks for the other, and nothing of them is remembered."""
    asked = list[str]()
    page.on("request", lambda request: asked.append(request.method))

    assert await page.evaluate(SENT_TWICE, "a.bin") == ["first", "second", 0]
    assert "HEAD" not in asked
    assert await site.rows(Document) == 2


async def test_a_claim_that_answers_nothing(page: Page, site: Site) -> None:
    """A route of one's own may take an upload without showing a row."""
    claims = list[str]()

    async def take(route: Route) -> None:
        claims.append(route.request.method)
        await route.fulfill(status=204)

    await page.route("**/letters", take)
    row = await page.evaluate(
        """async () => {
            const { ResumableUpload } = await import("/modules/resumable.js");
            const claim = { method: "POST", url: "/letters" };
            return new ResumableUpload(new File(["a"], "a.txt"), { router: "/documents/", claim }).run();
        }"""
    )

    assert row is None
    assert claims == ["POST"]


async def test_a_file_that_is_put_together(page: Page) -> None:
    """While the server puts a large file together it is there, and busy with saving."""
    problem = {"type": "urn:fastapi-filestore:upload-assembling", "detail": "It takes a while."}
    await page.route("**/documents/", lambda route: route.fulfill(status=503, json=problem), times=1)
    states = await page.evaluate(
        """async () => {
            const { ResumableUpload } = await import("/modules/resumable.js");
            const states = new Set();
            const onChange = ({ state }) => states.add(state);
            const options = { router: "/documents/", fields: { title: "a" }, onChange };
            await new ResumableUpload(new File(["a"], "a.txt"), options).run();
            return [...states];
        }"""
    )

    assert states == ["waiting", "sending", "saving", "stored"]


async def test_an_upload_that_ended_before_its_claim(page: Page, site: Site) -> None:
    """What was all there and is gone at the claim is sent anew, and what is sent beside it is not."""
    ended = list[str]()

    async def end(route: Route) -> None:
        if not ended and route.request.method == "POST":
            ended.append((route.request.post_data_json or {})["upload"])
            await site.client.delete(f"/documents/uploads/{ended[0]}")
        await route.continue_()

    await page.route("**/documents/", end)

    assert await page.evaluate(SENT_TWICE, "a.bin") == ["first", "second", 0]
    assert len(ended) == 1


async def test_another_tab_goes_on_for_the_same_row(page: Page, site: Site) -> None:
    """A file that was to replace another does so, too, if it is only chosen again."""
    await site.client.post("/documents/", data={"title": "old"}, files={"file": ("old.txt", b"old")})
    row = await page.evaluate(
        """async () => {
            const { ResumableUpload } = await import("/modules/resumable.js");
            const file = new File([new Uint8Array(900_000)], "new.bin", { lastModified: 0 });
            const claim = { method: "PUT", url: "/documents/1/file" };
            const onChange = (upload) => upload.acknowledged && upload.pause();
            await new ResumableUpload(file, { router: "/documents", claim, onChange }).run().catch(() => {});
            return new ResumableUpload(file, { router: "/documents", fields: { title: "new" } }).run();
        }"""
    )

    assert (row["id"], row["title"], row["file"]["filename"]) == (1, "old", "new.bin")
    assert await site.rows(Document) == 1
