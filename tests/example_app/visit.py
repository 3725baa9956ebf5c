"""A person's visit to the page: what is asked of the browser again and again, and what it complained about."""

import zlib
from dataclasses import dataclass, field
from pathlib import Path
from struct import pack
from typing import Self

from playwright.async_api import BrowserContext, CDPSession, ConsoleMessage, Locator, Page

MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True)
class Visit:
    """An open page with all it asked for and all it complained about."""

    page: Page
    session: CDPSession
    url: str
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    @classmethod
    async def begin(cls, context: BrowserContext, url: str) -> Self:
        """Open the page and wait until its list is there."""
        page = await context.new_page()
        visit = cls(page, await context.new_cdp_session(page), url)
        page.on("request", lambda request: visit.requests.append(request.url))
        page.on("console", lambda message: visit.note(message))  # noqa: PLW0108 - Playwright writes to methods
        page.on("pageerror", lambda error: visit.complaints.append(str(error)))
        await visit.open()
        return visit

    async def open(self) -> None:
        """Load the page and wait until its list is there."""
        await self.page.goto(self.url)
        await self.page.locator("#document-list[aria-busy=false]").wait_for(state="attached")

    async def choose(self, *files: Path) -> None:
        """Choose files as the browser's own window would."""
        await self.page.get_by_label("Choose files").set_input_files(files)

    async def upload(self, *files: Path) -> None:
        """Choose files and wait until each is listed."""
        await self.choose(*files)
        for file in files:
            await self.document(file.name).first.wait_for()

    def document(self, title: str) -> Locator:
        """Return the document of a title in the list."""
        return self.page.locator("#document-list").get_by_role("listitem", name=title, exact=True)

    def uploading(self, name: str) -> Locator:
        """Return a file in the list of uploads."""
        return self.page.locator("#upload-list").get_by_role("listitem").filter(has_text=name)

    async def until_sent(self, least: int) -> None:
        """Wait until the page says that so many bytes have been sent."""
        while await self.page.evaluate("() => document.querySelector('#overall progress').value") < least:
            await self.page.wait_for_timeout(50)

    async def throttle(self, bytes_per_second: int) -> None:
        """Slow what the browser sends; -1 ends that."""
        slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": bytes_per_second}
        await self.session.send("Network.emulateNetworkConditions", slow)

    async def focused(self) -> str:
        """Return what a screen reader calls the focused element."""
        name: str = await self.page.evaluate(
            "() => document.activeElement.ariaLabel ?? document.activeElement.labels?.[0]?.innerText ?? "
            "document.activeElement.innerText"
        )
        return " ".join(name.split())

    def outside(self) -> list[str]:
        """Return the requests that left the application; the browser asks itself for its viewer of PDFs."""
        return [url for url in self.requests if not url.startswith((f"{self.url}/", "blob:", "data:", "chrome"))]

    def note(self, message: ConsoleMessage) -> None:
        """Keep a complaint of the console."""
        if message.type in {"error", "warning"}:
            self.complaints.append(message.text)


def write(folder: Path, name: str, content: bytes) -> Path:
    """Write a file and return its path."""
    path = folder / name
    path.write_bytes(content)
    return path


def png(width: int, height: int, *, grey: int) -> bytes:
    """Return a picture of one colour."""
    header = pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = (b"\0" + bytes([grey]) * width) * height
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        pack(">I", len(body)) + kind + body + pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
