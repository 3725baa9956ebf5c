"""What must never be told: places, keys, credentials, SQL and signed URLs, in answers, logs, errors and `repr`."""

import logging
import traceback
from collections.abc import Mapping
from typing import Any

import pytest

from fastapi_filestore import FilestoreSettings, ObstoreBackend, StorageError, StorageRegistry
from fastapi_filestore.storage.signing import UrlSigner
from fastapi_filestore.web.paths import RedactSignedURLs
from tests.security.conftest import SIGNING_KEY, Server
from tests.servers.process import LOOPBACK

SECRET = "VE9QU0VDUkVUS0VZVE9QU0VDUkVUS0VZ"
"""A credential, in base64, since Azure wants it so."""

QUICK: dict[str, Any] = {"retry_config": {"max_retries": 0}}
STORES: dict[str, tuple[str, Mapping[str, Any]]] = {
    "s3": ("s3://b/", {"aws_access_key_id": "A", "aws_secret_access_key": SECRET, "aws_session_token": SECRET}),
    "azure key": ("az://c/", {"azure_storage_account_name": "a", "azure_storage_account_key": SECRET}),
    "azure sas": ("az://c/", {"azure_storage_account_name": "a", "azure_storage_sas_token": f"sv=2024&sig={SECRET}"}),
    "gcs": ("gs://b/", {"google_bearer_token": SECRET}),
}
ENDPOINTS = {"s3": "aws_endpoint", "az": "azure_storage_endpoint", "gs": "google_base_url"}


def unreachable(store: str, dead_port: int) -> ObstoreBackend:
    """Return a backend whose store does not answer."""
    url, options = STORES[store]
    endpoint = {ENDPOINTS[url[:2]]: f"http://{LOOPBACK}:{dead_port}"}
    return ObstoreBackend("leaky", url, client_options={"allow_http": True}, **endpoint, **options, **QUICK)


@pytest.mark.parametrize("store", STORES)
async def test_an_error_of_a_store_has_no_credential(store: str, dead_port: int) -> None:
    """Neither its text nor its cause, down to the traceback that a log would have."""
    backend = unreachable(store, dead_port)
    with pytest.raises(StorageError) as caught:
        await backend.head("key")

    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert SECRET not in repr(caught.value.__dict__)


@pytest.mark.parametrize("store", STORES)
def test_a_backend_shows_no_credential(store: str, dead_port: int) -> None:
    """A backend, and the registry that holds it, can be printed."""
    registry = StorageRegistry()
    registry.register_backend(unreachable(store, dead_port))

    assert SECRET not in repr([registry.get_backend("leaky"), str(registry), vars(registry)])


def test_settings_show_no_credential() -> None:
    """Settings can be printed and logged, and so can the signer that is made of them."""
    s3 = {"url": "s3://b/", "aws_access_key_id": "A", "aws_secret_access_key": SECRET}
    settings = FilestoreSettings(_env_file=None, backends={"documents": s3}, signing_keys=[SIGNING_KEY])
    shown = repr(settings) + str(settings) + repr(settings.model_dump()) + settings.model_dump_json()
    shown += repr(UrlSigner([SIGNING_KEY], base_url="/"))

    assert SECRET not in shown
    assert SIGNING_KEY not in shown


def test_a_signed_url_is_not_shown() -> None:
    """Who reads a log may not do what the holder of the URL may."""
    signed = UrlSigner([SIGNING_KEY], base_url="/filestore/").sign("web", "key", method="GET", expires_in=60)

    assert "/filestore/" in signed.url
    assert "/filestore/" not in repr(signed)


def test_signed_urls_are_not_in_the_access_log(server: Server) -> None:
    """The server logs each request; of a signed URL the log has the place but not the token, whatever came of it."""
    created = server.client.post("/covers/", files={"cover": ("a.txt", b"x")}).json()
    url = server.client.get(f"/signed/{created['id']}").json()
    before = server.log()
    statuses = [server.client.get(each).status_code for each in (url, f"{url}x", f"{url}&again=1")]
    token = url.rsplit("=", 1)[-1]
    log = server.log().removeprefix(before)

    assert statuses == [200, 403, 200]
    assert log.count("GET /filestore?[redacted]") == 3
    assert token[:20] not in log


def test_any_other_log_can_be_redacted() -> None:
    """A record without arguments loses its tokens, too, and one without tokens stays as it is."""
    record = logging.makeLogRecord({"msg": "GET https://a/filestore?x=1&sig=abc.def 200 in %d ms", "args": (5,)})
    other = logging.makeLogRecord({"msg": {"status": 200}, "args": {"path": "/"}})
    filtered = [RedactSignedURLs().filter(each) for each in (record, other)]

    assert filtered == [True, True]
    assert record.getMessage() == "GET https://a/filestore?[redacted] 200 in 5 ms"
    assert other.msg == {"status": 200}


REQUESTS: list[tuple[str, str, dict[str, Any]]] = [
    ("GET", "/covers/", {}),
    ("GET", "/covers/{whole}", {}),
    ("GET", "/covers/{whole}/file", {}),
    ("HEAD", "/covers/{whole}/file", {}),
    ("GET", "/covers/{whole}/file", {"headers": {"Range": "bytes=0-0,2-2"}}),
    ("GET", "/covers/{whole}/file", {"headers": {"Range": "bytes=99-"}}),
    ("GET", "/covers/{whole}/file", {"headers": {"If-Match": '"x"'}}),
    ("GET", "/covers/{lost}/file", {}),
    ("HEAD", "/covers/{lost}/file", {}),
    ("GET", "/covers/99", {}),
    ("GET", "/covers/" + "9" * 30, {}),
    ("GET", "/covers/?after=nonsense", {}),
    ("PATCH", "/covers/{whole}", {"json": {"cover": {"backend": "web", "path": "x"}}}),
    (
        "PUT",
        "/covers/{whole}/file",
        {"content": b"--b", "headers": {"Content-Type": "multipart/form-data; boundary=b"}},
    ),
    ("PUT", "/covers/{whole}/file", {"files": {"wrong": ("a", b"x")}}),
    ("POST", "/covers/", {"files": {"cover": ("a", b"x")}, "data": {"path": "/etc/passwd"}}),
    ("POST", "/documents/", {"files": {"file": ("a", b"x")}, "data": {"title": "twice"}}),
    ("POST", "/documents/", {"files": {"file": ("a", b"x")}, "data": {"title": "twice"}}),
    ("POST", "/articles/", {"files": {"file": ("a", b"x")}, "data": {"slug": "a'; DROP TABLE articles --"}}),
    ("POST", "/photo", {"files": {"file": ("a.txt", b"x", "text/plain")}}),
    ("GET", "/filestore?sig=nonsense", {}),
    ("DELETE", "/covers/{whole}", {}),
    ("DELETE", "/covers/{whole}", {}),
]


def test_no_answer_tells_of_the_inside(server: Server) -> None:
    """Neither header nor body has a folder, an object key, SQL or a signing key; the log has no key and no SQL."""
    rows = {
        name: server.client.post("/covers/", files={"cover": ("a.txt", name.encode())}).json()["id"]
        for name in ("whole", "lost")
    }
    objects = [path for path in (server.folder / "store").rglob("*") if path.is_file()]
    next(path for path in objects if path.read_bytes() == b"lost").unlink()
    answers = [server.client.request(method, path.format(**rows), **options) for method, path, options in REQUESTS]
    told = "".join(f"{answer.headers}{answer.text}" for answer in answers)
    secrets = [str(server.folder), "file://", SIGNING_KEY, "INSERT INTO", "SELECT ", "sqlite", "UNIQUE constraint"]
    secrets += [path.name for path in objects]

    assert {answer.status_code for answer in answers} >= {200, 206, 204, 400, 403, 404, 412, 415, 416, 422}
    assert [secret for secret in secrets if secret in told] == []
    assert SIGNING_KEY not in server.log()
    assert "INSERT INTO" not in server.log()
