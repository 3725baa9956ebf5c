"""What clients are told when the store is down."""

import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.servers.process import LOOPBACK, served
from tests.web.answers import Running, application, check_problem, client, server

__all__ = ["client", "server"]


def down(folder: Path, url: str, endpoint: str) -> AbstractContextManager[Running]:
    """Run the application with a store that is not there."""
    settings = {
        "URL": url,
        "AWS_ENDPOINT": endpoint,
        "AWS_ACCESS_KEY_ID": "AKIADOWNDOWNDOWN",
        "AWS_SECRET_ACCESS_KEY": "down-secret-access-key",
        "AWS_REGION": "down-region",
        "MAX_RETRIES": "0",
        "TIMEOUT": "1",
        "CONNECT_TIMEOUT": "1",
    }
    return application(folder, **{f"FILESTORE_BACKENDS__WEB__{name}": value for name, value in settings.items()})


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and never answers."""
    with socket.create_server((LOOPBACK, 0)) as silent:
        yield silent.getsockname()[1]


@pytest.mark.parametrize("kind", ["dead", "silent"])
def test_a_store_that_is_down_is_told_to_everybody(tmp_path: Path, dead_port: int, silent_port: int, kind: str) -> None:
    """503 with Retry-After; the log names the backend in one line; nobody learns where it is or how to get in."""
    port = dead_port if kind == "dead" else silent_port
    endpoint = f"http://{LOOPBACK}:{port}"
    with served(lambda: down(tmp_path, "s3://down-bucket/prefix", endpoint)) as server, server.client() as client:
        response = client.post("/documents/", files={"file": b"a"}, data={"title": "hidden title"})
        listed = client.get("/documents/").json()

    check_problem(response, "store-unavailable")
    assert response.headers["retry-after"] == "5"
    assert listed["items"] == []
    told = f"{response.headers} {response.text}"
    assert not any(word in told for word in ("'web'", "down-", "AKIA", str(port), "s3", str(tmp_path)))
    assert "Backend 'web'" in server.log
    assert not any(
        word in server.log
        for word in ("down-", "AKIA", str(port), "INSERT", "SELECT", "hidden title", "Traceback", str(tmp_path))
    )
