"""The application's API over HTTP, wherever the environment says that it keeps things."""

import os
from http.client import HTTPConnection
from time import monotonic, sleep

import httpx
from obstore.store import S3Store

from tests.example_app.app import BACKEND, DOCUMENTS, App, run_app
from tests.example_app.visit import MEGABYTE
from tests.servers.postgres import Postgres
from tests.servers.process import served
from tests.servers.seaweedfs import SeaweedFS


def test_a_document_from_first_to_last(app: App) -> None:
    """A document is created, listed, downloaded, replaced, renamed and deleted on SQLite and local disk."""
    live_through(app.client)

    assert app.files_on_disk() == []


def test_the_same_application_on_postgres_and_s3(postgres_database: Postgres, seaweedfs: SeaweedFS) -> None:
    """With other variables, and not a line changed, the rows are in PostgreSQL and the bytes in S3."""
    prefix = f"example-{postgres_database.database}"
    environment = {
        "DATABASE_URL": postgres_database.url("postgresql+asyncpg"),
        f"{BACKEND}URL": f"s3://{seaweedfs.bucket}/{prefix}",
        f"{BACKEND}AWS_ENDPOINT": seaweedfs.endpoint,
        f"{BACKEND}AWS_REGION": seaweedfs.region,
        f"{BACKEND}AWS_ACCESS_KEY_ID": seaweedfs.access_key,
        f"{BACKEND}AWS_SECRET_ACCESS_KEY": seaweedfs.secret_key,
        f"{BACKEND}AWS_ALLOW_HTTP": "true",
    }

    with served(lambda: run_app(environment)) as app:
        live_through(app.client)
        app.add("kept.txt", b"kept")

        assert [each["size"] for each in objects(seaweedfs, prefix)] == [4]
        assert app.files_on_disk() == []


def live_through(client: httpx.Client) -> None:
    """Create, list, download, replace, rename and delete one document."""
    first, second = os.urandom(3 * MEGABYTE), b"second"
    files = {"file": ("report é.pdf", first, "application/pdf")}
    created = client.post(DOCUMENTS, data={"title": "Report"}, files=files)
    url = created.headers["location"]

    assert created.status_code == 201
    assert client.get(DOCUMENTS).json()["items"] == [created.json()]
    assert client.get(DOCUMENTS.rstrip("/")).json()["items"] == [created.json()]
    assert client.get(f"{url}/file").content == first
    assert client.put(f"{url}/file", files={"file": ("new.txt", second)}).json()["file"]["filename"] == "new.txt"
    assert client.get(f"{url}/file").content == second
    assert client.patch(url, json={"title": "Renamed"}).json()["title"] == "Renamed"
    assert client.delete(url).status_code == 204
    assert client.get(f"{url}/file").status_code == 404
    assert client.get(DOCUMENTS).json() == {"items": [], "next_cursor": None}


def objects(server: SeaweedFS, prefix: str) -> list[dict[str, object]]:
    """Return what the bucket holds below a prefix."""
    store = S3Store(
        server.bucket,
        endpoint=server.endpoint,
        region=server.region,
        access_key_id=server.access_key,
        secret_access_key=server.secret_key,
        client_options={"allow_http": True},
    )
    return [dict(each) for each in store.list(prefix).collect()]


def test_the_route_written_by_hand(app: App) -> None:
    """A report is stored by the same service and listed with the other documents."""
    answer = app.client.post("/reports", files={"file": ("march.csv", b"a,b", "text/csv")})

    assert answer.status_code == 201
    assert answer.json()["file"]["checksum"]
    assert [item["title"] for item in app.listed()] == ["march.csv"]


def test_the_newest_document_comes_first(app: App) -> None:
    """Documents of the same second are in order, and their times have a zone."""
    for name in ("one", "two", "three"):
        app.add(name, b"-")

    listed = app.listed()

    assert [item["title"] for item in listed] == ["three", "two", "one"]
    assert all(item["created_at"].endswith("Z") for item in listed)


def test_pages_follow_each_other(app: App) -> None:
    """A cursor leads to the next page, and the last page has none."""
    for number in range(5):
        app.add(str(number), b"-")

    first = app.client.get(DOCUMENTS, params={"limit": 3}).json()
    second = app.client.get(DOCUMENTS, params={"limit": 3, "after": first["next_cursor"]}).json()

    assert [item["title"] for item in [*first["items"], *second["items"]]] == ["4", "3", "2", "1", "0"]
    assert second["next_cursor"] is None


def test_a_wrong_form_is_a_problem_in_words(app: App) -> None:
    """A form without a file, or with a title too long, is refused and says why; nothing is stored."""
    no_file = app.client.post(DOCUMENTS, data={"title": "x"}, files={"other": (None, "")})
    too_long = app.client.post(DOCUMENTS, data={"title": "x" * 201}, files={"file": ("a.txt", b"-")})

    assert (no_file.status_code, too_long.status_code) == (422, 422)
    assert no_file.headers["content-type"] == "application/problem+json"
    assert "'file'" in no_file.json()["detail"]
    assert "title" in too_long.json()["detail"]
    assert app.client.get(DOCUMENTS).json()["items"] == []


def test_the_application_is_healthy(app: App) -> None:
    """A probe gets a plain answer."""
    assert app.client.get("/health").json() == {"status": "ok"}


def test_the_application_is_ready(app: App) -> None:
    """Load balancers are told that its database and its store answer."""
    assert app.client.get("/ready").json() == {"status": "ready"}


def test_an_upload_that_ends_while_it_comes_holds_up_nobody(app: App) -> None:
    """What a request is writing of it is undone before anything waits for that, on SQLite, too."""
    tus = {"Tus-Resumable": "1.0.0"}
    begun = app.client.post(f"{DOCUMENTS}uploads", headers={**tus, "Upload-Length": "1000000"})
    path = DOCUMENTS + begun.headers["location"]
    connection = HTTPConnection(str(app.client.base_url.host), app.client.base_url.port)
    connection.putrequest("PATCH", path)
    fields = {"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream", "Content-Length": "1000000"}
    for name, value in (tus | fields).items():
        connection.putheader(name, value)
    connection.endheaders(bytes(500_000))
    sleep(0.2)  # until it is being written

    ended = app.client.delete(path)
    connection.close()
    sleep(0.2)  # until the server has seen that
    began = monotonic()
    answer = app.client.post(f"{DOCUMENTS}uploads", headers={**tus, "Upload-Length": "1"})

    assert (ended.status_code, answer.status_code) == (204, 201)
    assert monotonic() - began < 4  # SQLite gives up after five seconds
