"""The pages at /admin: there for those who know the password, and nowhere else."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser

from tests.example_app.app import App, run_app
from tests.servers.process import ServerStartError, served

PASSWORD = "a password of the test"


@pytest.fixture(scope="module")
def guarded_app() -> Iterator[App]:
    """The application with a password for its admin."""
    with served(lambda: run_app({"ADMIN_PASSWORD": PASSWORD})) as app:
        yield app


def test_there_is_no_admin_without_a_password(app: App) -> None:
    """Nothing answers at /admin."""
    assert [app.client.get(path).status_code for path in ("/admin/", "/admin/document/list")] == [404, 404]


def test_nobody_comes_in_without_the_password(guarded_app: App) -> None:
    """Every page, file and form leads to the login, a wrong password is refused, and a made-up cookie is none."""
    identity = guarded_app.add("One", b"secret")
    wrong = guarded_app.client.post("/admin/login", data={"username": "a", "password": "wrong"})
    answers = [
        guarded_app.client.request(method, f"/admin{path}", headers={"Cookie": "admin=eyJpc19hZG1pbiI6IHRydWV9.a.b"})
        for method, path in [
            ("GET", "/"),
            ("GET", "/document/list"),
            ("POST", "/document/create"),
            ("GET", f"/document/files/file/{'0' * 22}/{identity}"),
            ("DELETE", f"/document/delete?pks={identity}"),
        ]
    ]

    assert wrong.status_code == 400
    assert [answer.headers["location"].rpartition("/")[2] for answer in answers] == ["login"] * 5
    assert guarded_app.content(identity) == b"secret"


async def test_staff_edit_documents(browser: Browser, guarded_app: App, tmp_path: Path) -> None:
    """A document is made, found in the list with its file, and keeps its file when its title is changed."""
    (tmp_path / "report.txt").write_text("a report")
    page = await browser.new_page()
    await page.goto(f"{guarded_app.url}/admin/")
    await page.locator("input[name=password]").fill(PASSWORD)
    await page.locator("input[name=username]").fill("staff")
    await page.get_by_role("button", name="Login").or_(page.locator("[type=submit]")).first.click()
    await page.goto(f"{guarded_app.url}/admin/document/create")
    await page.locator("input[name=title]").fill("A report")
    await page.locator("input[type=file]").set_input_files(tmp_path / "report.txt")
    await page.locator("input[type=submit][value=Save]").click()
    await page.get_by_role("link", name="report.txt").wait_for()
    identity = next(item["id"] for item in guarded_app.listed() if item["title"] == "A report")
    await page.goto(f"{guarded_app.url}/admin/document/edit/{identity}")
    await page.locator("input[name=title]").fill("The report")
    await page.locator("input[type=submit][value=Save]").click()
    await page.get_by_text("The report", exact=True).wait_for()
    await page.close()

    assert guarded_app.content(identity) == b"a report"


def test_a_short_password_stops_the_start() -> None:
    """The application says what is wrong with it, and does not start."""
    refusal = pytest.raises(ServerStartError, match="ADMIN_PASSWORD has fewer than 12 characters")
    with refusal, run_app({"ADMIN_PASSWORD": "short"}):
        pass
