"""The page for everybody: by keyboard, by screen reader, on a phone, in the dark, without motion."""

from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.example_app.app import App
from tests.example_app.visit import MEGABYTE, Visit, png, write

NAMED_ROLES = frozenset(
    {
        "button",
        "link",
        "textbox",
        "checkbox",
        "searchbox",
        "group",
        "progressbar",
        "dialog",
        "heading",
        "region",
        "image",
    }
)
READABLE = 4.5
"""The least contrast of text (WCAG 2.2, success criterion 1.4.3)."""
PAIRS = (
    ("--text", "--page"),
    ("--text", "--surface"),
    ("--muted", "--page"),
    ("--muted", "--surface"),
    ("--muted", "--sunken"),
    ("--accent", "--surface"),
    ("--accent", "--accent-soft"),
    ("--on-accent", "--accent"),
    ("--danger", "--surface"),
    ("--danger", "--danger-soft"),
    ("--on-danger", "--danger"),
    ("--good", "--surface"),
    ("--media", "--surface"),
    ("--text", "--accent-soft"),
    ("--muted", "--accent-soft"),
)


async def test_upload_and_delete_by_keyboard(visit: Visit, app: App, tmp_path: Path) -> None:
    """Without a pointer a file is chosen and deleted, and the focus is never lost."""
    keyboard = visit.page.keyboard
    async with visit.page.expect_file_chooser() as chooser:
        await keyboard.press("Tab")
        assert await visit.focused() == "Choose files or drop them here"
        await keyboard.press("Enter")
    await (await chooser.value).set_files([write(tmp_path, name, b"-") for name in ("a.txt", "b.txt")])
    for name in ("a.txt", "b.txt"):
        await visit.document(name).wait_for()

    await tab_to(visit, "Delete ")
    deleted = (await visit.focused()).removeprefix("Delete ")
    await keyboard.press("Enter")
    in_dialog = await visit.focused()
    await keyboard.press("Tab")
    await keyboard.press("Enter")
    await expect(visit.document(deleted)).to_have_count(0)

    assert in_dialog == "Keep it"
    assert [await visit.focused()] == [item["title"] for item in app.listed()]


async def tab_to(visit: Visit, name: str) -> None:
    """Press Tab until an element is focused whose name begins so."""
    for _ in range(20):
        await visit.page.keyboard.press("Tab")
        if (await visit.focused()).startswith(name):
            return
    pytest.fail(f"Tab never reaches {name!r}.")


async def test_focus_after_the_last_deletion(visit: Visit, tmp_path: Path) -> None:
    """When no document is left, the focus is where the next one is chosen."""
    await visit.upload(write(tmp_path, "only.txt", b"-"))

    await visit.page.get_by_role("button", name="Delete only.txt").click()
    await visit.page.get_by_role("button", name="Delete", exact=True).click()

    await expect(visit.page.get_by_label("Choose files")).to_be_focused()


async def test_escape_keeps_the_document_and_the_focus(visit: Visit, tmp_path: Path) -> None:
    """Escape closes the question, deletes nothing and gives the focus back."""
    await visit.upload(write(tmp_path, "kept.txt", b"-"))

    await visit.page.get_by_role("button", name="Delete kept.txt").press("Enter")
    await visit.page.keyboard.press("Escape")

    await expect(visit.page.get_by_role("button", name="Delete kept.txt")).to_be_focused()
    await expect(visit.document("kept.txt")).to_be_visible()


async def test_everything_has_a_name(visit: Visit, tmp_path: Path) -> None:
    """Each control, picture, heading, region and bar has a name in the browser's accessibility tree."""
    await visit.upload(write(tmp_path, "view.png", png(8, 8, grey=90)))
    await visit.throttle(MEGABYTE)
    await visit.choose(write(tmp_path, "slow.bin", bytes(20 * MEGABYTE)))
    await visit.page.get_by_role("button", name="Rename view.png").click()

    nodes = await accessible_nodes(visit)

    assert [role for role, name in nodes if role in NAMED_ROLES and not name] == []
    assert {("button", "Cancel the upload of slow.bin"), ("progressbar", "Upload of slow.bin")} <= nodes
    assert {("textbox", "New title of view.png"), ("button", "Preview view.png")} <= nodes
    assert {("checkbox", "Select view.png"), ("progressbar", "All uploads"), ("searchbox", "Search by title")} <= nodes
    assert {("heading", "Documents"), ("region", "Uploads"), ("region", "Your documents")} <= nodes


async def accessible_nodes(visit: Visit) -> set[tuple[str, str]]:
    """Return the role and the name of all that a screen reader is told of."""
    tree = await visit.session.send("Accessibility.getFullAXTree")
    nodes = [node for node in tree["nodes"] if not node["ignored"]]
    return {(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes}


async def test_news_is_spoken(visit: Visit, tmp_path: Path) -> None:
    """Uploads and deletions are told to those who can't see them."""
    status = visit.page.get_by_role("status")

    await visit.upload(write(tmp_path, "news.txt", b"-"))
    await expect(status).to_have_text("news.txt was uploaded.")
    await visit.page.get_by_role("button", name="Delete news.txt").click()
    await visit.page.get_by_role("button", name="Delete", exact=True).click()

    await expect(status).to_have_text("news.txt was deleted.")


@pytest.mark.parametrize("width", [320, 375, 768])
async def test_narrow_screens_need_no_sideways_scrolling(visit: Visit, app: App, width: int) -> None:
    """On a phone's width nothing is cut off and every control is big enough for a thumb."""
    app.add(f"{'a long name ' * 11}{'x' * 60}.txt", b"-")
    await visit.page.set_viewport_size({"width": width, "height": 740})
    await visit.open()

    scrolled = await visit.page.evaluate("() => document.documentElement.scrollWidth")
    if width < 640:
        await visit.page.get_by_role("button", name="Actions of a long name").click()
    controls = visit.page.locator(".document .icon-button:visible, .select")
    boxes = [await each.bounding_box() for each in await controls.all()]

    assert scrolled <= width
    assert len(boxes) == (6 if width < 640 else 5)
    assert all(box is not None and min(box["width"], box["height"]) >= 40 for box in boxes)
    assert all(box is not None and box["x"] + box["width"] <= width for box in boxes)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_text_is_readable_in_both_schemes(visit: Visit, scheme: str) -> None:
    """Every colour of text has enough contrast with what is behind it."""
    await visit.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    read = "names => names.map(name => getComputedStyle(document.documentElement).getPropertyValue(name))"
    names = sorted({name for pair in PAIRS for name in pair})

    colours = dict(zip(names, await visit.page.evaluate(read, names), strict=True))

    contrasts = {pair: contrast(colours[pair[0]], colours[pair[1]]) for pair in PAIRS}
    assert {pair: value for pair, value in contrasts.items() if value < READABLE} == {}
    assert (luminance(colours["--page"]) < 0.1) == (scheme == "dark")


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours (WCAG 2.2, contrast ratio)."""
    dark, light = sorted([luminance(one), luminance(other)])
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour, as WCAG 2.2 defines it."""
    parts = [int(colour.strip().lstrip("#")[index : index + 2], 16) / 255 for index in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


async def test_nothing_moves_for_those_who_asked_for_calm(visit: Visit, tmp_path: Path) -> None:
    """With reduced motion no animation and no transition runs, not even while files go up."""
    await visit.throttle(MEGABYTE)
    await visit.choose(write(tmp_path, "slow.bin", bytes(20 * MEGABYTE)))
    await visit.uploading("slow.bin").wait_for()

    assert await visit.page.evaluate("() => document.getAnimations().length") == 0
