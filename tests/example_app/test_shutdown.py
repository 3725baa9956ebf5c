"""The end of a process that is told to end (SIGTERM) while clients have stopped in the middle of their uploads."""

import re
import signal
import socket
import sqlite3
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from time import monotonic, sleep, time
from typing import Any
from urllib.request import urlopen

import boto3
import pytest
import yaml

from fastapi_filestore.orm.ledger.ledger import DEFAULT_MIN_AGE, DEFAULT_NAME, UPLOAD
from tests.example_app.app import BACKEND, ROOT
from tests.servers.process import LOOPBACK, free_ports, running, temporary_folder
from tests.servers.seaweedfs import SeaweedFS

STALLED = 8
SENT = 12 * 1024 * 1024
"""Bytes of each: parts of it are in the store by then."""
LIMIT = 10.0
"""Seconds in which the process has to end: Docker kills it then."""
FLAG = re.compile(r"--timeout-graceful-shutdown[\s\",]+(\d+)")
HEAD = (
    b"POST /documents/ HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=b\r\n"
    b'Content-Length: 50000000\r\n\r\n--b\r\nContent-Disposition: form-data; name="title"\r\n\r\nt\r\n--b\r\n'
    b'Content-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
)


def grace_in(text: str) -> list[str]:
    """Return the seconds that commands in a text give to requests in progress."""
    return FLAG.findall(text)


@contextmanager
def application(folder: Path, settings: Mapping[str, str]) -> Iterator[int]:
    """Run the application as `make run` does, and tell it to end after the block."""
    [port] = free_ports(1)
    [grace] = grace_in((ROOT / "Makefile").read_text())
    command = (
        sys.executable, "-m", "uvicorn", "--app-dir", ROOT, "--host", LOOPBACK, "--port", str(port),
        "--timeout-graceful-shutdown", grace, "example_app.main:app",
    )  # fmt: skip
    environment = {"DATABASE_URL": f"sqlite+aiosqlite:///{folder}/documents.db", **settings}

    def ready() -> bool:
        with urlopen(f"http://{LOOPBACK}:{port}/health", timeout=5) as answer:
            return bool(answer.status == 200)

    with running(command, folder=folder, ready=ready, environment=environment, stop_signal=signal.SIGTERM):
        yield port


def stop_with_stalled_uploads(folder: Path, settings: Mapping[str, str]) -> float:
    """Run the application, stall some uploads, tell it to end, and return the seconds that it took to."""
    with ExitStack() as stack:
        with application(folder, settings) as port:
            for _ in range(STALLED):
                client = stack.enter_context(socket.create_connection((LOOPBACK, port), timeout=20))
                client.sendall(HEAD + b"x" * SENT)
            sleep(1)
            began = monotonic()
        return monotonic() - began


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where the application keeps everything, short enough for sockets."""
    with temporary_folder("stop") as folder:
        yield folder


def check_ledger(folder: Path) -> None:
    """Assert that all that the ledger still has are uploads which fall due."""
    with closing(sqlite3.connect(folder / "documents.db")) as database:
        left = database.execute(f"SELECT kind, due_at FROM {DEFAULT_NAME}").fetchall()

    assert len(left) <= STALLED
    assert all(kind == UPLOAD and due_at < time() + DEFAULT_MIN_AGE for kind, due_at in left)


def test_stalled_uploads_to_a_folder_end_with_the_process(folder: Path) -> None:
    """The process ends in time, and neither a file nor the beginning of one is left in the folder."""
    seconds = stop_with_stalled_uploads(folder, {f"{BACKEND}URL": f"file://{folder}/files"})

    assert seconds < LIMIT
    assert [path for path in (folder / "files").rglob("*") if path.is_file()] == []
    check_ledger(folder)


def test_stalled_uploads_to_s3_end_with_the_process(folder: Path, seaweedfs: SeaweedFS) -> None:
    """The process ends in time, and neither an object nor an unfinished multipart upload is left in the bucket."""
    settings = {
        f"{BACKEND}URL": f"s3://{seaweedfs.bucket}/{folder.name}",
        f"{BACKEND}AWS_ENDPOINT": seaweedfs.endpoint,
        f"{BACKEND}AWS_ACCESS_KEY_ID": seaweedfs.access_key,
        f"{BACKEND}AWS_SECRET_ACCESS_KEY": seaweedfs.secret_key,
        f"{BACKEND}AWS_REGION": seaweedfs.region,
    }
    seconds = stop_with_stalled_uploads(folder, settings)
    client = boto3.client(
        "s3",
        endpoint_url=seaweedfs.endpoint,
        aws_access_key_id=seaweedfs.access_key,
        aws_secret_access_key=seaweedfs.secret_key,
        region_name=seaweedfs.region,
    )
    objects = client.list_objects_v2(Bucket=seaweedfs.bucket, Prefix=folder.name).get("Contents", [])
    uploads = client.list_multipart_uploads(Bucket=seaweedfs.bucket).get("Uploads", [])

    assert seconds < LIMIT
    assert objects == []
    assert [upload["Key"] for upload in uploads if upload["Key"].startswith(folder.name)] == []
    check_ledger(folder)


def test_every_command_gives_requests_a_few_seconds() -> None:
    """`make run`, Docker and the README end requests in progress long before Docker would kill the process."""
    texts = [(ROOT / name).read_text() for name in ("Makefile", "Dockerfile", "README.md")]
    services: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]

    assert [grace_in(text) for text in texts] == [["5"]] * 3
    assert services["app"]["stop_grace_period"] == "15s"
