"""What a person does with the documents in the list, in a real browser."""

from pathlib import Path

from playwright.async_api import expect

from tests.example_app.app import App
from tests.example_app.visit import Visit, png, write


async def test_an_empty_list_says_so(visit: Visit) -> None:
    """Without documents the page says what will be here."""
    await expect(visit.page.get_by_text("Nothing here yet")).to_be_visible()
    await expect(visit.page.get_by_role("button", name="Load more")).to_be_hidden()


async def test_delete_asks_first(visit: Visit, app: App, tmp_path: Path) -> None:
    """A document stays until its deletion is confirmed; then its file is gone as well."""
    await visit.upload(write(tmp_path, "draft.txt", b"draft"))
    delete = visit.page.get_by_role("button", name="Delete draft.txt")

    await delete.click()
    await visit.page.get_by_role("button", name="Keep it").click()
    kept = app.listed()
    await delete.click()
    await visit.page.get_by_role("button", name="Delete", exact=True).click()
    await expect(visit.document("draft.txt")).to_have_count(0)

    assert [item["title"] for item in kept] == ["draft.txt"]
    assert app.listed() == []
    assert app.files_on_disk() == []
    await expect(visit.page.get_by_text("Nothing here yet")).to_be_visible()


async def test_rename(visit: Visit, app: App, tmp_path: Path) -> None:
    """A new title is stored and shown, with the filename beside it."""
    await visit.upload(write(tmp_path, "scan0042.pdf", b"%PDF-"))

    await visit.page.get_by_role("button", name="Rename scan0042.pdf").click()
    await visit.page.get_by_label("New title of scan0042.pdf").fill("  Contract  ")
    await visit.page.keyboard.press("Enter")
    await expect(visit.document("Contract")).to_contain_text("scan0042.pdf")

    assert [item["title"] for item in app.listed()] == ["Contract"]
    assert await visit.focused() == "Rename Contract"


async def test_a_refused_title_is_explained(visit: Visit, app: App, tmp_path: Path) -> None:
    """An empty title is refused in words and the old one stays; Escape leaves it so."""
    await visit.upload(write(tmp_path, "plan.txt", b"plan"))

    await visit.page.get_by_role("button", name="Rename plan.txt").click()
    await visit.page.get_by_label("New title of plan.txt").fill(" ")
    await visit.page.get_by_role("button", name="Save").click()
    alert = visit.document("plan.txt").get_by_role("alert")
    await expect(alert).to_have_text("A document needs a title.")
    await visit.page.keyboard.press("Escape")

    await expect(alert).to_be_hidden()
    assert [item["title"] for item in app.listed()] == ["plan.txt"]


async def test_replace(visit: Visit, app: App, tmp_path: Path) -> None:
    """Another file takes the place of a document's file: the title stays, picture, size and bytes are new."""
    await visit.upload(write(tmp_path, "logo.png", png(30, 30, grey=0)))
    new = write(tmp_path, "logo-2.png", png(50, 50, grey=255))

    async with visit.page.expect_file_chooser() as chooser:
        await visit.page.get_by_role("button", name="Replace the file of logo.png").click()
    await (await chooser.value).set_files(new)
    await expect(visit.document("logo.png")).to_contain_text("logo-2.png")
    await expect(visit.document("logo.png").locator("img")).to_have_js_property("naturalWidth", 50)

    [document] = app.listed()
    assert app.content(document["id"]) == new.read_bytes()
    assert len(app.files_on_disk()) == 1


async def test_more_documents_are_loaded_on_demand(visit: Visit, app: App) -> None:
    """The list begins with the newest twenty; more come when they are asked for, and the first of them is focused."""
    for number in range(23):
        app.add(f"{number}.txt", b"-")
    await visit.open()
    rows = visit.page.locator("#document-list").get_by_role("listitem")

    await expect(rows).to_have_count(20)
    await expect(rows.first).to_contain_text("22.txt")
    await visit.page.get_by_role("button", name="Load more").click()
    await expect(rows).to_have_count(23)

    assert await visit.focused() == "2.txt"
    await expect(visit.page.get_by_role("button", name="Load more")).to_be_hidden()


async def test_a_list_that_fails_can_be_tried_again(visit: Visit, app: App) -> None:
    """When the list can't be read the page says why, and a button reads it again."""
    app.add("there.txt", b"-")
    await visit.page.route("**/documents/*", lambda route: route.abort())
    await visit.page.reload()

    await expect(visit.page.get_by_role("alert").filter(has_text="The server can't be reached.")).to_be_visible()
    await visit.page.unroute("**/documents/*")
    await visit.page.get_by_role("button", name="Try again").click()

    await expect(visit.document("there.txt")).to_be_visible()


async def test_a_document_deleted_elsewhere_is_explained(visit: Visit, app: App) -> None:
    """Downloading what somebody else has deleted shows the problem's detail in its row."""
    identity = app.add("shared.txt", b"-")
    await visit.open()
    app.delete(identity)

    await visit.page.get_by_role("link", name="Download shared.txt").click()

    alert = visit.document("shared.txt").get_by_role("alert")
    await expect(alert).to_have_text(f"There is no Document with the id {identity}.")
