"""Recordings are heard and watched in the browser, not only downloaded."""

import asyncio
import io
import wave
from typing import Any

from playwright.async_api import Browser, Response

from tests.example_app.app import App
from tests.security.conftest import stored_file

RATE = 44_100
SECONDS = 120
"""Ten megabytes: more than a browser fetches before it is asked for."""
STATE = "(() => { const player = document.querySelector('video'); return [player.readyState, player.duration] })()"
SEEK = """async seconds => {
    const player = document.querySelector('video')
    await new Promise(seeked => { player.onseeked = seeked; player.currentTime = seconds })
    return [player.currentTime, player.error]
}"""
CAN_PLAY = 4
"""HTMLMediaElement.HAVE_ENOUGH_DATA"""


def recording() -> bytes:
    """Return two minutes of silence."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(RATE)
        writer.writeframes(bytes(2 * RATE * SECONDS))
    return file.getvalue()


async def test_a_recording_that_is_opened_is_heard(browser: Browser, app: App) -> None:
    """Who follows the link of a recording gets the browser's own player, and it may fetch what it plays."""
    url = await asyncio.to_thread(stored_file, app, "/documents/", "a.wav", recording(), "audio/wav", title="a")
    async with await browser.new_context() as context:
        page = await context.new_page()
        await page.goto(url)
        await page.wait_for_function("document.querySelector('video').readyState === 4")

        assert await page.evaluate(STATE) == [CAN_PLAY, SECONDS]


async def test_a_recording_in_a_page_is_seeked_by_ranges(browser: Browser, app: App) -> None:
    """A player on a page of the application goes to any moment, and asks for the bytes from there."""
    url = await asyncio.to_thread(stored_file, app, "/documents/", "a.wav", recording(), "audio/wav", title="a")
    own, ranges = f"{app.url}/player", list[str]()

    def note(response: Response) -> None:
        ranges.append(response.headers.get("content-range", ""))

    async with await browser.new_context() as context:
        page = await context.new_page()
        page.on("response", note)
        await page.route(own, lambda route: route.fulfill(content_type="text/html", body=f"<video src='{url}'>"))
        await page.goto(own)
        await page.wait_for_function("document.querySelector('video').readyState > 0")
        seeked: list[Any] = await page.evaluate(SEEK, SECONDS - 10)

    assert seeked == [SECONDS - 10, None]
    assert any(each.startswith("bytes ") and not each.startswith("bytes 0-") for each in ranges)
