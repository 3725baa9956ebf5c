"""The page runs nothing but its own scripts and asks nobody but its own server."""

import re
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.example_app.app import ROOT, App
from tests.example_app.visit import Visit, png, write

PAGE = ROOT / "example_app" / "page"
SOURCES = sorted(path for path in PAGE.rglob("*") if path.is_file())
HOSTILE = "<img src=x onerror=alert(1)>.txt"


async def test_a_hostile_filename_is_only_text(visit: Visit, tmp_path: Path) -> None:
    """Markup in a filename is shown as it is, in the list, in questions and in messages, and runs nothing."""
    alerts: list[str] = []
    visit.page.on("dialog", lambda dialog: alerts.append(dialog.message))

    await visit.upload(write(tmp_path, HOSTILE, b"-"))
    await expect(visit.document(HOSTILE).get_by_role("heading")).to_have_text(HOSTILE)
    await visit.page.get_by_role("button", name=f"Delete {HOSTILE}").click()
    await expect(visit.page.get_by_role("dialog")).to_contain_text(HOSTILE)

    assert alerts == []
    assert await visit.page.locator("img[src='x']").count() == 0


async def test_a_whole_visit_stays_on_the_host_and_silent(visit: Visit, tmp_path: Path) -> None:
    """Upload, preview, download, rename and delete ask only the application, and the console has no complaint."""
    page = visit.page
    await visit.upload(write(tmp_path, "view.png", png(8, 8, grey=9)), write(tmp_path, "notes.txt", b"notes"))
    await page.get_by_role("button", name="Preview view.png").click()
    await page.get_by_role("button", name="Close the preview").click()
    async with page.expect_download():
        await page.get_by_role("link", name="Download notes.txt").click()
    await page.get_by_role("button", name="Rename notes.txt").click()
    await page.keyboard.press("Enter")
    await page.get_by_role("button", name="Delete view.png").click()
    await page.get_by_role("button", name="Delete", exact=True).click()
    await expect(visit.document("view.png")).to_have_count(0)

    assert len(visit.requests) > 10
    assert visit.outside() == []
    assert visit.complaints == []


@pytest.mark.parametrize("path", ["/", "/app.js", "/app.css"])
def test_the_page_has_a_strict_policy(app: App, path: str) -> None:
    """Only the application's own scripts, styles and pictures, in no frame, and no guessing of types."""
    headers = app.client.get(path).headers
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))

    assert policy.pop("default-src") == policy.pop("base-uri") == policy.pop("form-action") == "'none'"
    assert policy.pop("frame-ancestors") == "'none'"
    assert set(policy.values()) == {"'self'"}
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


PATHS = ["/.", "/scripts/..", "/x/%2e%2e", "//evil.example/..", "/docs/", "/docs//", "/documents//", "/reports//"]


@pytest.mark.parametrize("path", PATHS)
def test_no_path_leads_to_a_foreign_host(app: App, path: str) -> None:
    """However a path is written, nobody is redirected to the host that the request names."""
    request = app.client.build_request("GET", "/", headers={"host": "evil.example"})
    request.extensions["target"] = path.encode()  # as it is: a client's library would tidy it up
    response = app.client.send(request)

    assert response.status_code == 404
    assert "evil.example" not in str(response.headers)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_sources_are_short_and_name_no_host(path: Path) -> None:
    """No file of the page is long, names another host, or makes HTML of text."""
    text = path.read_text().replace("http://www.w3.org/2000/svg", "")

    assert len(text.splitlines()) <= 300
    assert re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}|innerHTML|insertAdjacentHTML|document\.write", text) == []
    assert re.findall(r"<script(?![^>]*src=)|<style|\sstyle=|\son[a-z]+=", text) == []
