"""The server in Node that the protocol's authors publish, to see that the cases ask for nothing that nobody does."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from tests.servers.azurite import find_node
from tests.servers.process import LOOPBACK, MissingServerError, free_ports, running, temporary_folder
from tests.tus.target import Running, Target

NODE = Path(__file__).parents[1] / "servers" / "node"
MISSING = "The server of tus is missing: `make test` installs it, or `npm ci` in tests/servers/node."
LARGEST = 1024 * 1024
"""Bytes of an upload."""
OTHER_VERSION = "It looks at the version as at any field, and answers with 400, without Tus-Version."
OVERRIDE = "It does not know X-HTTP-Method-Override, which the core protocol demands."
MEDIA_TYPE = "It answers with 400, or with 403 if there is none, where the protocol says 415 (SHOULD)."
VALUES = "It keeps values as text, so other bytes come back as U+FFFD."
KNOWN_FAILURES = {
    "test_bytes_of_another_version_are_not_taken": OTHER_VERSION,
    "test_another_version_begins_nothing": OTHER_VERSION,
    "test_another_version_is_not_told_the_offset": OTHER_VERSION,
    "test_another_version_ends_nothing": OTHER_VERSION,
    "test_bytes_are_sent_by_another_method": OVERRIDE,
    "test_uploads_are_ended_by_another_method": OVERRIDE,
    "test_an_upload_is_asked_for_by_another_method": OVERRIDE,
    "test_the_actual_method_is_ignored": OVERRIDE,
    "test_a_method_that_is_none_does_nothing": OVERRIDE,
    "test_another_media_type_is_refused": MEDIA_TYPE,
    "test_the_case_of_the_media_type_means_nothing": "It compares media types letter by letter.",
    "test_values_are_any_bytes[no text]": VALUES,
    "test_values_are_any_bytes[all]": VALUES,
    "test_metadata_are_told_as_they_came[__proto__ YQ==,constructor Yg=]": "It asks an object for keys that all have.",
}
"""What this server does otherwise than the protocol says: the cases that fail, with all values or one, and why."""
TUS_NODE_SERVER = Target(
    "tus-node-server",
    "tus_node_server",
    frozenset(
        {
            "creation",
            "creation-with-upload",
            "creation-defer-length",
            "expiration",
            "termination",
            "max-size",
            "cors",
            "content",
            "expire",
        }
    ),
    KNOWN_FAILURES,
)


@contextmanager
def run_tus_node_server() -> Iterator[Running]:
    """Run the server with its store of files, and say how its uploads are read and expire."""
    if not (NODE / "node_modules" / "@tus" / "server").is_dir():
        raise MissingServerError(
            "The server of tus is missing: `make test` installs it, or `npm ci` in tests/servers/node."
        )
    with temporary_folder("tus") as folder:
        [port] = free_ports(1)
        files = folder / "files"
        command = (find_node(), NODE / "tus.mjs", files, LOOPBACK, str(port), str(LARGEST))
        with running(command, folder=folder, ready=lambda: _listens(port)):
            yield Running(
                f"http://{LOOPBACK}:{port}/files",
                content=lambda url: httpx.get(url).raise_for_status().content,
                expire=lambda url: _expire(files, url),
            )


def _expire(files: Path, url: str) -> None:
    about = files / (urlsplit(url).path.rpartition("/")[2] + ".json")
    facts = json.loads(about.read_text())
    about.write_text(json.dumps({**facts, "creation_date": "2020-01-01T00:00:00.000Z"}))


def _listens(port: int) -> bool:
    with socket.create_connection((LOOPBACK, port), timeout=5):
        return True
