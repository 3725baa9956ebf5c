"""Downloads by nginx in front, set up with the own words of docs/downloads.md."""

import re
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from httpx import AsyncClient

from tests.http.served import run_application
from tests.servers.nginx import run_nginx
from tests.servers.process import LOOPBACK, served
from tests.servers.seaweedfs import SeaweedFS

pytestmark = pytest.mark.works_with("nginx")

PAGE = (Path(__file__).parents[2] / "docs" / "downloads.md").read_text(encoding="utf-8")
LOCAL, REMOTE = re.findall(r"^location .*?^}$", PAGE, re.DOTALL | re.MULTILINE)
CONTENT = bytes(range(256)) * 10


@pytest.fixture(params=["local", "seaweedfs"])
async def client(
    request: pytest.FixtureRequest, tmp_path: Path, seaweedfs: SeaweedFS, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[AsyncClient]:
    """A client of nginx, before an application with an object `k y`."""
    monkeypatch.setenv("FILESTORE_DOWNLOADS", "accel")
    if request.param == "local":
        url, options = (tmp_path / "store").as_uri(), {}
        location = LOCAL.replace("/documents/", "/store/").replace("/var/app/uploads/", f"{tmp_path}/store/")
    else:
        url = f"s3://{seaweedfs.bucket}/{secrets.token_hex(8)}"
        options = {
            "aws_endpoint": seaweedfs.endpoint,
            "aws_access_key_id": seaweedfs.access_key,
            "aws_secret_access_key": seaweedfs.secret_key,
            "aws_region": seaweedfs.region,
        }
        location = re.sub(r"https://\S+/;", f"{seaweedfs.endpoint}/;", REMOTE).replace("/archive/", "/store/")
    with served(lambda: run_application(tmp_path, url, options)) as application:
        await application.backend.put("k y", CONTENT, content_type="text/html")
        with served(
            lambda: run_nginx(tmp_path / secrets.token_hex(4), application.port, location, ready="/held")
        ) as port:
            async with AsyncClient(base_url=f"http://{LOOPBACK}:{port}") as client:
                yield client


async def test_nginx_serves_with_the_applications_headers(client: AsyncClient) -> None:
    """The bytes are nginx's, and all that keeps a browser safe is there once."""
    answer = await client.get("/whole/k y", headers={"Authorization": "Bearer x"})
    headers = answer.headers

    assert (answer.status_code, answer.content) == (200, CONTENT)
    assert (headers["content-disposition"], headers["cache-control"]) == (
        'attachment; filename="file"', "private, no-cache",
    )  # fmt: skip
    assert (headers["content-type"], headers["x-content-type-options"]) == ("application/octet-stream", "nosniff")
    assert headers["content-security-policy"] == "sandbox; default-src 'none'"
    assert headers["cross-origin-resource-policy"] == "same-site"
    assert headers["accept-ranges"] == "bytes"
    assert "x-accel-redirect" not in headers


async def test_ranges_and_conditions_hold_through_nginx(client: AsyncClient) -> None:
    """A client resumes, asks again and insists by the tag that it was given."""
    tag = (await client.get("/whole/k y")).headers["etag"]
    asked: list[tuple[dict[str, str], int]] = [
        ({"Range": "bytes=5-9"}, 206),
        ({"Range": "bytes=5-9", "If-Range": tag}, 206),
        ({"Range": "bytes=5-9", "If-Range": '"x"'}, 200),
        ({"If-None-Match": tag}, 304),
        ({"If-Match": tag}, 200),
        ({"If-Match": '"x"'}, 412),
    ]

    for headers, status in asked:
        answer = await client.get("/whole/k y", headers=headers)
        assert (answer.status_code, headers) == (status, headers)
        assert status != 206 or answer.content == CONTENT[5:10]


async def test_the_internal_location_is_internal(client: AsyncClient) -> None:
    """Nobody reaches an object past the application."""
    assert (await client.get("/protected/store/k%20y")).status_code == 404
