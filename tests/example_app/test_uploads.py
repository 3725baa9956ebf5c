"""Files on their way from a person's disk, in a real browser."""

import os
from pathlib import Path

from playwright.async_api import Browser, Locator, expect

from tests.example_app.app import App, run_app
from tests.example_app.visit import MEGABYTE, Visit, png, write
from tests.servers.process import served

SLOW = bytes(20 * MEGABYTE)
"""A file that no throttled browser sends at once: two megabytes fit into the system's buffers."""


async def test_a_big_file_goes_up_and_comes_back(visit: Visit, tmp_path: Path) -> None:
    """The bar of a 50 MB file moves, the file is listed with size and type, and its download has the same bytes."""
    content = os.urandom(50 * MEGABYTE)
    await visit.throttle(20 * MEGABYTE)

    await visit.choose(write(tmp_path, "holiday.mp4", content))
    seen = await progress_of(visit.uploading("holiday.mp4"))
    document = visit.document("holiday.mp4")
    async with visit.page.expect_download() as started:
        await document.get_by_role("link", name="Download holiday.mp4").click()
    download = await started.value
    saved = tmp_path / "saved"
    await download.save_as(saved)

    assert len(seen) >= 5
    assert seen == sorted(seen)
    assert max(seen) <= len(content)
    await expect(document).to_contain_text("MP4 video 50 MB Today")
    assert download.suggested_filename == "holiday.mp4"
    assert saved.read_bytes() == content


async def progress_of(upload: Locator) -> list[int]:
    """Return the different numbers of bytes that an upload's bar shows until the file is stored."""
    bar = upload.get_by_role("progressbar")
    seen: list[int] = []
    while await upload.get_attribute("data-state") != "stored":
        value = await bar.get_attribute("value")
        if value is not None and int(value) not in seen:
            seen.append(int(value))
    return seen


async def test_dropped_files_are_uploaded(visit: Visit, app: App) -> None:
    """Several files dropped anywhere on the page are all stored."""
    files = await visit.page.evaluate_handle(
        """() => {
            const transfer = new DataTransfer();
            for (const name of ["one.txt", "two.csv", "three.json"]) transfer.items.add(new File([name], name));
            return transfer;
        }"""
    )

    await visit.page.dispatch_event("main", "drop", {"dataTransfer": files})
    for name in ("one.txt", "two.csv", "three.json"):
        await visit.document(name).wait_for()

    assert {item["title"] for item in app.listed()} == {"one.txt", "two.csv", "three.json"}


async def test_three_uploads_run_at_once(visit: Visit, tmp_path: Path) -> None:
    """Of five files three are being sent and two wait for their turn."""
    await visit.throttle(MEGABYTE)

    await visit.choose(*(write(tmp_path, f"{number}.bin", SLOW) for number in range(5)))
    uploads = visit.page.locator("#upload-list")

    await expect(uploads.get_by_text(" of 20 MB")).to_have_count(3)
    await expect(uploads.get_by_text("Waiting · 20 MB")).to_have_count(2)
    await expect(visit.page.get_by_text("0 of 5 done")).to_be_visible()


async def test_a_cancelled_upload_stores_nothing_until_it_is_retried(visit: Visit, app: App, tmp_path: Path) -> None:
    """Cancel ends an upload before anything is stored; Retry sends the file again."""
    await visit.throttle(MEGABYTE)
    await visit.choose(write(tmp_path, "slow.bin", SLOW))

    await visit.page.get_by_role("button", name="Cancel the upload of slow.bin").click()
    await expect(visit.uploading("slow.bin")).to_contain_text("Cancelled")
    stored_before = app.listed()
    await visit.throttle(-1)
    await visit.page.get_by_role("button", name="Retry the upload of slow.bin").click()
    await visit.document("slow.bin").wait_for()

    assert stored_before == []


async def test_a_file_over_the_limit_is_refused_in_words(browser: Browser, tmp_path: Path) -> None:
    """The problem's detail stands beside the file that failed, and the other files are stored."""
    with served(lambda: run_app({"FILESTORE_MAX_UPLOAD_SIZE": "1 MB"})) as small:
        async with await browser.new_context() as context:
            visit = await Visit.begin(context, small.url)

            await visit.choose(write(tmp_path, "big.bin", bytes(2 * MEGABYTE)), write(tmp_path, "fits.txt", b"fits"))
            await visit.document("fits.txt").wait_for()

            alert = visit.uploading("big.bin").get_by_role("alert")
            await expect(alert).to_contain_text("the limit is 1,000,000 bytes.")
            await expect(visit.document("big.bin")).to_have_count(0)


async def test_a_server_that_is_gone_is_named(browser: Browser, tmp_path: Path) -> None:
    """An upload and a deletion say that the server can't be reached, each in its own place."""
    async with await browser.new_context() as context:
        with served(run_app) as short_lived:
            short_lived.add("kept.txt", b"kept")
            visit = await Visit.begin(context, short_lived.url)

        await visit.choose(write(tmp_path, "late.txt", b"late"))
        await visit.page.get_by_role("button", name="Delete kept.txt").click()
        await visit.page.get_by_role("button", name="Delete", exact=True).click()

        await expect(visit.uploading("late.txt").get_by_role("alert")).to_contain_text("The server can't be reached.")
        await expect(visit.document("kept.txt").get_by_role("alert")).to_contain_text("The server can't be reached.")


async def test_a_vanished_file_is_named(visit: Visit, tmp_path: Path) -> None:
    """A file that is gone from the disk when its turn comes is told from a lost connection."""
    await visit.throttle(MEGABYTE)
    names = [f"{number}.bin" for number in range(4)]

    await visit.choose(*(write(tmp_path, name, SLOW) for name in names))
    (tmp_path / names[-1]).unlink()
    for name in names[:-1]:
        await visit.page.get_by_role("button", name=f"Cancel the upload of {name}").click()

    await expect(visit.uploading(names[-1]).get_by_role("alert")).to_contain_text("can't be read from your disk")


async def test_a_picture_is_shown(visit: Visit, tmp_path: Path) -> None:
    """A picture's thumbnail is really drawn, and so is the large one that it opens."""
    await visit.upload(write(tmp_path, "view.png", png(60, 40, grey=90)))

    thumbnail = visit.document("view.png").locator("img")
    await expect(thumbnail).to_have_js_property("naturalWidth", 60)
    await visit.page.get_by_role("button", name="Preview view.png").click()
    large = visit.page.get_by_role("dialog", name="view.png").get_by_role("img", name="view.png")

    await expect(large).to_have_js_property("naturalHeight", 40)


async def test_a_broken_picture_has_its_icon(visit: Visit, tmp_path: Path) -> None:
    """What only claims to be a picture is shown as an icon, without a button for a preview that can't be."""
    await visit.upload(write(tmp_path, "broken.png", b"no picture"))

    await expect(visit.page.get_by_role("button", name="Preview broken.png")).to_have_count(0)
    await expect(visit.document("broken.png").locator(".tile")).to_be_visible()
