"""Documents in numbers: search, several at once, previews, and a list that fits a phone."""

from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

from playwright.async_api import Browser, expect

from tests.example_app.app import DOCUMENTS, App
from tests.example_app.visit import Visit

PDF = b"%PDF-1.7\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj 2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\n%%EOF"


async def test_several_are_downloaded_as_one_archive(visit: Visit, app: App, tmp_path: Path) -> None:
    """The archive has the files of what is selected, and no other one."""
    for name in ("a.txt", "b.txt", "c.txt"):
        app.add(name, name.encode())
    await visit.open()

    for name in ("a.txt", "c.txt"):
        await visit.page.get_by_label(f"Select {name}").check()
    bar = visit.page.get_by_role("group", name="Selected documents")
    await expect(bar).to_contain_text("2 selected")
    async with visit.page.expect_download() as started:
        await bar.get_by_role("button", name="Download as ZIP").click()
    await (await started.value).save_as(tmp_path / "saved.zip")

    with ZipFile(tmp_path / "saved.zip") as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {"a.txt": b"a.txt", "c.txt": b"c.txt"}


async def test_several_are_deleted_after_one_question(visit: Visit, app: App) -> None:
    """What is selected goes, what is gone already does not matter, and the rest stays."""
    gone, *_ = [app.add(f"{number}.txt", b"-") for number in range(4)]
    await visit.open()
    app.delete(gone)

    for number in range(3):
        await visit.page.get_by_label(f"Select {number}.txt").check()
    await visit.page.get_by_role("group", name="Selected documents").get_by_role("button", name="Delete").click()
    question = visit.page.get_by_role("dialog", name="Delete 3 documents?")
    await question.get_by_role("button", name="Delete").click()
    await expect(visit.page.locator("#document-list").get_by_role("listitem")).to_have_count(1)

    assert [item["title"] for item in app.listed()] == ["3.txt"]
    await expect(visit.page.get_by_role("group", name="Selected documents")).to_be_hidden()
    await expect(visit.page.get_by_role("status")).to_have_text("3 documents were deleted.")


def test_an_archive_of_what_is_gone(app: App) -> None:
    """A document that is not there is named before anything is sent, and an archive of nothing is refused."""
    url = f"{DOCUMENTS.rstrip('/')}.zip"
    identity = app.add("a.txt", b"a")
    whole = app.client.get(url, params={"id": [identity, identity]})
    app.delete(identity)

    assert ZipFile(BytesIO(whole.content)).namelist() == ["a.txt"]
    assert identity in app.client.get(url, params={"id": identity}).json()["detail"]
    assert app.client.get(url).status_code == 422


async def test_search_by_title(visit: Visit, app: App) -> None:
    """The list has the titles with what is typed in them, whatever its case; nothing found is said in words."""
    for name in ("Éclair recipe.txt", "100% sure.txt", "recipes.txt"):
        app.add(name, b"-")
    await visit.open()
    rows = visit.page.locator("#document-list").get_by_role("listitem")
    search = visit.page.get_by_label("Search by title")

    await search.fill("éclair")
    await expect(rows).to_have_count(1)
    await search.fill("0%")
    await expect(rows).to_contain_text(["100% sure.txt"])
    await search.fill("nowhere")
    await expect(visit.page.get_by_text("No title has “nowhere” in it.")).to_be_visible()
    await search.fill("")

    await expect(rows).to_have_count(3)


async def test_texts_and_pdfs_open_in_place(visit: Visit, app: App) -> None:
    """A text is shown as text, whatever is in it, and a PDF in the browser's viewer, above the page."""
    app.add("page.html", b"<b>bold</b>")
    app.client.post(DOCUMENTS, data={"title": "scan"}, files={"file": ("scan.pdf", PDF, "application/pdf")})
    await visit.open()

    await visit.page.get_by_role("button", name="Preview page.html").click()
    await expect(visit.page.get_by_role("dialog", name="page.html").locator("pre")).to_have_text("<b>bold</b>")
    await visit.page.get_by_role("button", name="Close the preview").click()
    await visit.page.get_by_role("button", name="Preview scan").click()
    await expect(visit.page.get_by_role("dialog", name="scan").locator("iframe")).to_have_attribute("title", "scan")
    while not any(frame.url.startswith("chrome-extension:") for frame in visit.page.frames):
        await visit.page.wait_for_timeout(50)  # the viewer; the test's time ends it else

    assert visit.complaints == []


async def test_a_phone_has_a_row_and_a_menu(browser: Browser, app: App) -> None:
    """On a phone nobody is told to drop files, and a document's actions are in a menu of its one row."""
    app.add(f"{'a long name ' * 5}.txt", b"-")
    async with await browser.new_context(
        viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True
    ) as phone:
        visit = await Visit.begin(phone, app.url)
        row = visit.page.locator(".document")
        delete = row.get_by_role("button", name="Delete")
        box = await row.bounding_box()

        assert box is not None
        assert box["height"] < 90
        assert "drop" not in await visit.page.locator("#drop").inner_text()
        await expect(delete).to_be_hidden()
        await row.get_by_role("button", name="Actions of").tap()
        await expect(delete).to_be_visible()
        await visit.page.keyboard.press("Escape")
        await expect(delete).to_be_hidden()
        await row.get_by_role("button", name="Actions of").tap()
        await delete.tap()
        await visit.page.get_by_role("button", name="Delete", exact=True).tap()
        await expect(row).to_have_count(0)

    assert app.listed() == []


async def test_the_page_links_to_the_documentation(visit: Visit) -> None:
    """Whoever wants to use the API finds out how."""
    link = visit.page.get_by_role("link", name="Documentation of the API")

    assert await link.evaluate("link => link.href") == f"{visit.url}/docs"
