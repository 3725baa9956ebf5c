"""Requests byte by byte, for what no client of HTTP would send, and for clients that go away."""

import socket
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPResponse
from urllib.parse import urlsplit

import httpx

Fields = Sequence[tuple[str, str | bytes]]
PATIENCE = 20.0
"""Seconds that an answer may take."""
RESET_AT_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER: what is closed is forgotten, and the other side is told so."""


@dataclass(frozen=True, slots=True)
class Connection:
    """A connection to a server, on which a request is written in pieces."""

    socket: socket.socket
    target: str
    host: str

    def begin(self, method: str, fields: Fields) -> None:
        """Send the head of a request."""
        lines = [f"{method} {self.target} HTTP/1.1".encode(), b"Host: " + self.host.encode()]
        lines += [name.encode() + b": " + _encoded(value) for name, value in fields]
        self.socket.sendall(b"\r\n".join([*lines, b"", b""]))

    def send(self, data: bytes) -> None:
        """Send a piece of the body."""
        self.socket.sendall(data)

    def answer(self, method: str) -> httpx.Response:
        """Read the next answer, also one that says only: 100 Continue."""
        reader = HTTPResponse(self.socket, method=method)
        reader.begin()
        body = reader.read()
        fields = [(name, value) for name, value in reader.getheaders() if name.lower() != "content-encoding"]
        return httpx.Response(reader.status, headers=fields, content=body)

    def reads_continue(self) -> bool:
        """Read the line that says whether the body is wanted."""
        line = bytearray()
        while not line.endswith(b"\r\n\r\n"):
            byte = self.socket.recv(1)
            if not byte:
                break
            line += byte
        return line.startswith(b"HTTP/1.1 100")

    def leave(self) -> None:
        """Go away in the orderly way, as a process that ends."""
        self.socket.shutdown(socket.SHUT_WR)
        self.socket.close()

    def vanish(self) -> None:
        """Go away at once, as a machine whose network is cut and comes back."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
        self.socket.close()


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    """Connect to the server of a URL."""
    parts = urlsplit(url)
    port = parts.port or {"http": 80}[parts.scheme]
    with socket.create_connection((parts.hostname or "", port), timeout=PATIENCE) as opened:
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        yield Connection(opened, target or "/", parts.netloc)


def chunked(*pieces: bytes, trailer: bytes = b"") -> bytes:
    """Return a body of chunks, with or without fields after it."""
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n" + trailer + b"\r\n"


def _encoded(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode()
