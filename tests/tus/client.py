"""A client of tus that says plainly what the server answers, and does nothing by itself."""

import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import new
from urllib.parse import urljoin

import httpx

from tests.tus.target import Running
from tests.tus.wire import Connection, Fields, connected

VERSION = {"Tus-Resumable": "1.0.0"}
MEDIA_TYPE = {"Content-Type": "application/offset+octet-stream"}
PATIENCE = 15.0
"""Seconds until a server has seen that a client went away, or has put the parts of an upload together."""


@dataclass(frozen=True, slots=True)
class Tus:
    """A server, and how it is spoken to. A header that is None is not sent."""

    server: Running
    http: httpx.Client

    @property
    def url(self) -> str:
        """Where uploads begin."""
        return self.server.url

    def request(
        self, method: str, url: str, headers: Mapping[str, str | bytes | None] | None = None, body: bytes = b""
    ) -> httpx.Response:
        """Send a request as every one of tus is."""
        return self.http.request(method, url, headers=self.fields(headers or {}), content=body)

    def fields(self, headers: Mapping[str, str | bytes | None]) -> list[tuple[bytes, bytes]]:
        """Return the header fields of a request with some of its own."""
        joined: dict[str, str | bytes | None] = {**self.server.headers, **VERSION, **headers}
        found = [(name, value) for name, value in joined.items() if value is not None]
        return [(name.encode(), value if isinstance(value, bytes) else value.encode()) for name, value in found]

    def options(self, url: str | None = None, **headers: str) -> httpx.Response:
        """Ask what the server can do."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.request("OPTIONS", url or self.url, {"Tus-Resumable": None, **named})

    def head(self, url: str) -> httpx.Response:
        """Ask for an upload."""
        return self.request("HEAD", url)

    def offset(self, url: str) -> int:
        """Ask how far an upload is."""
        answer = self.head(url)
        assert answer.status_code in {200, 204}, f"HEAD of an upload that is there: {answer.status_code}"
        return int(answer.headers["Upload-Offset"])

    def post(self, headers: Mapping[str, str | bytes | None], body: bytes = b"") -> httpx.Response:
        """Ask for an upload to be begun."""
        return self.request("POST", self.url, headers, body)

    def begin(self, length: int | None = None, body: bytes = b"", **headers: str) -> str:
        """Begin an upload, of unknown length if None, with its first bytes if there are some; its URL."""
        size = {"Upload-Defer-Length": "1"} if length is None else {"Upload-Length": str(length)}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        url = self.place(self.post({**size, **named}))
        if body:
            answer = self.patch(url, 0, body)
            assert answer.status_code == 204, f"PATCH: {answer.status_code} {answer.text}"
        return url

    def place(self, answer: httpx.Response) -> str:
        """Return the URL of an upload that was begun."""
        assert answer.status_code == 201, f"POST: {answer.status_code} {answer.text}"
        return urljoin(self.url, answer.headers["Location"])

    def patch(self, url: str, offset: int | str, body: bytes, **headers: str | None) -> httpx.Response:
        """Send bytes of an upload."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.request("PATCH", url, {"Upload-Offset": str(offset), **MEDIA_TYPE, **named}, body)

    def delete(self, url: str) -> httpx.Response:
        """End an upload."""
        return self.request("DELETE", url)

    @contextmanager
    def begun(self, method: str, url: str, fields: Fields) -> Iterator[Connection]:
        """Send the head of a request on a connection of its own; fields may be there twice, or odd."""
        given = {name.lower() for name, _ in fields}
        usual = [*self.server.headers.items(), *VERSION.items()]
        with connected(url) as connection:
            connection.begin(method, [*(pair for pair in usual if pair[0].lower() not in given), *fields])
            yield connection

    def raw(self, method: str, url: str, fields: Fields, body: bytes = b"") -> httpx.Response:
        """Send a request byte by byte, with its length unless its body is chunked."""
        is_chunked = any(name.lower() == "transfer-encoding" for name, _ in fields)
        length = [] if is_chunked else [("Content-Length", str(len(body)))]
        with self.begun(method, url, [*fields, *length, ("Connection", "close")]) as connection:
            connection.send(body)
            return connection.answer(method)

    def content(self, url: str) -> bytes:
        """Return what was uploaded."""
        assert self.server.content is not None
        return self.server.content(url)

    def settled_offset(self, url: str, least: int) -> int:
        """Wait until the server has at least so many bytes and writes no more, and return how many it has."""
        deadline, before, offset = time.monotonic() + PATIENCE, -1, self.offset(url)
        while not least <= before == offset and time.monotonic() < deadline:
            time.sleep(0.05)
            before, offset = offset, self.offset(url)
        return offset

    def finish(self, url: str, content: bytes) -> None:
        """Send what is missing of an upload, from where the server says, as long as another request holds it."""
        deadline = time.monotonic() + PATIENCE
        while (offset := self.offset(url)) < len(content):
            answer = self.patch(url, offset, content[offset:])
            assert answer.status_code in {204, 409, 423}, f"PATCH: {answer.status_code} {answer.text}"
            assert time.monotonic() < deadline, f"PATCH is answered with {answer.status_code} again and again"


def is_refused(answer: httpx.Response) -> bool:
    """Return whether the fault is told to be the client's."""
    return 400 <= answer.status_code < 500


def is_gone(answer: httpx.Response) -> bool:
    """Return whether an upload is told not to be there."""
    return answer.status_code in {404, 410}


def checksum(algorithm: str, data: bytes) -> str:
    """Return the value of Upload-Checksum for some bytes."""
    return f"{algorithm} {encoded(new(algorithm, data, usedforsecurity=False).digest())}"


def encoded(value: bytes | str) -> str:
    """Return a value in base64."""
    return b64encode(value if isinstance(value, bytes) else value.encode()).decode()
