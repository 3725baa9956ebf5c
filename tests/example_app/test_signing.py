"""Signed URLs of the application: it has a key from its first start on."""

import stat

from tests.example_app.app import App, run_app
from tests.servers.process import served
from tests.web.site import SIGNING_KEY


def signed_content(app: App) -> bytes:
    """Store a document, and return what its signed URL answers."""
    signed = app.client.get(f"/reports/{app.add('a.txt', b'signed')}/url").raise_for_status().json()["url"]
    return app.client.get(signed).raise_for_status().content


def log_of(app: App) -> str:
    """Return what the server has written so far."""
    return (app.folder / "server.log").read_text()


def test_nothing_answers_that_there_are_no_signed_urls(app: App) -> None:
    """Each route of the page of the API answers, with signed URLs that work, and none with 500 or more."""
    identity = app.add("a.txt", b"a")
    answers = {
        (method, path): app.client.request(method, path.replace("{identity}", identity)).status_code
        for path, operations in app.client.get("/openapi.json").json()["paths"].items()
        for method in operations
    }

    assert ("get", "/filestore") in answers
    assert [route for route, status in answers.items() if status >= 500] == []
    assert signed_content(app) == b"signed"


def test_the_key_is_its_own_and_stays(app: App) -> None:
    """The key is in the folder of the data, for its owner to read alone, and the log says so."""
    (key,) = (app.folder / "secrets").iterdir()

    assert key.name == "FILESTORE_SIGNING_KEYS"
    assert len(key.read_text()) >= 40
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE(key.parent.stat().st_mode) == 0o700
    assert f"URLs are signed with the key in {key}: keep it" in log_of(app)


def test_a_key_that_is_given_wins() -> None:
    """A variable comes before the key that the application made."""
    with served(lambda: run_app({"FILESTORE_SIGNING_KEYS": SIGNING_KEY})) as app:
        assert signed_content(app) == b"signed"
        assert "URLs are signed" not in log_of(app)
