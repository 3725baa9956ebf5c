"""The scripts on the page on direct uploads in parts, run in Chromium with a bucket of SeaweedFS."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.responses import HTMLResponse, Response
from playwright.async_api import Browser, Page

from fastapi_filestore import Filestore, StorageBackend
from tests.project.page_programs import ROOT
from tests.resumable.page import named_blocks
from tests.servers.seaweedfs import SeaweedFS
from tests.web.conftest import Serve, backend, browser, serve
from tests.web.models import Document
from tests.web.uploaders_served import bundle, listening
from tests.web.uploads.parts import Bucket, in_parts, open_bucket

__all__ = ["backend", "browser", "serve"]

MIB = 2**20
CLAIM = 'import { claim } from "./claim.js";'
PAGE = '<!doctype html><meta charset="utf-8"><title>parts</title><script type="module" src="/script.js"></script>'
MORE = """
const fileOf = (name, size) => new File([new Uint8Array(size).fill(120)], name, { type: "text/plain" });
window.sendByUppy = async (name, size, options) => {
  uppy.getPlugin("AwsS3").setOptions(options);
  uppy.addFile({ name, type: "text/plain", data: fileOf(name, size) });
  const { failed } = await uppy.upload();
  return failed.map((file) => file.error);
};
window.sendAlone = (name, size) => uploadInParts(fileOf(name, size), name);
"""


def build(app: FastAPI, files: Filestore) -> None:
    """Mount documents that take uploads, and a page with the scripts."""
    in_parts(app, files)
    page = (ROOT / "docs" / "direct-uploads-in-parts.md").read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"```js\n(.*?)```", page, re.DOTALL)).replace(CLAIM, named_blocks()["claim.js"])
    script = bundle(code + MORE)

    @app.get("/")
    def show() -> HTMLResponse:
        return HTMLResponse(PAGE)

    @app.get("/script.js")
    def send_script() -> Response:
        return Response(script, media_type="text/javascript")


@dataclass(frozen=True, slots=True)
class Visitor:
    """A page of a browser, and the bucket that it stores in."""

    page: Page
    bucket: Bucket
    asked: list[str]

    async def send(self, call: str, *arguments: Any) -> dict[str, Any]:
        """Have the page send a file, and return the row that it claims it for."""
        async with self.page.expect_response(lambda answer: answer.url.endswith("/documents/")) as claimed:
            assert await self.page.evaluate(f"([...given]) => {call}(...given)", arguments) is not None
        # Nobody in the page may read the body, and then Chromium keeps it from others, too.
        location = (await claimed.value).headers["location"]
        row: dict[str, Any] = (await self.bucket.site.client.get(location)).json()
        return row


@pytest.fixture
async def visitor(
    browser: Browser, serve: Serve, seaweedfs: SeaweedFS, backend: StorageBackend
) -> AsyncIterator[Visitor]:
    """A page, and an application whose files are in a bucket."""
    async with (
        open_bucket(serve, seaweedfs, backend, build=build) as bucket,
        listening(bucket.site.app) as url,
        await browser.new_context() as context,
    ):
        page, asked = await context.new_page(), list[str]()
        page.on("request", lambda request: asked.append(f"{request.method} {request.url.partition('?')[0]}"))
        await page.goto(url)
        await page.wait_for_function("() => window.sendAlone")
        yield Visitor(page, bucket, asked)
        assert await bucket.unfinished() == []


def part_urls(visitor: Visitor) -> int:
    """Return how many parts were sent."""
    return sum(line.startswith("PUT ") for line in visitor.asked)


@pytest.mark.works_with("Uppy")
async def test_uppy(visitor: Visitor) -> None:
    """Uppy's plugin for S3 stores a small file by a form, and a large one in parts; rows take both."""
    small = await visitor.send("sendByUppy", "small.txt", 100, {})
    assert part_urls(visitor) == 0
    large = await visitor.send("sendByUppy", "large.txt", 18 * MIB, {"shouldUseMultipart": True})

    assert (small["file"]["filename"], small["file"]["size"]) == ("small.txt", 100)
    assert (large["file"]["filename"], large["file"]["size"]) == ("large.txt", 18 * MIB)
    assert (large["file"]["content_type"], part_urls(visitor)) == ("text/plain", 4)
    assert await visitor.bucket.site.rows(Document) == 2


async def test_without_a_library(visitor: Visitor) -> None:
    """The function on the page sends parts, and claims them."""
    row = await visitor.send("sendAlone", "alone.txt", 18 * MIB)

    assert (row["title"], row["file"]["size"], part_urls(visitor)) == ("alone.txt", 18 * MIB, 2)
