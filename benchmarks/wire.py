"""HTTP over a bare socket: so little work for the client that what is measured is the server's."""

import os
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

LOOPBACK = "127.0.0.1"
TIMEOUT = 300
"""Seconds of silence after which a server is given up."""
BLOCK = 1024 * 1024
HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered; its body was counted, and thrown away if nobody wanted it."""

    status: int
    headers: Mapping[str, str]
    size: int
    body: bytes = b""


def request_head(method: str, path: str, headers: Mapping[str, str]) -> bytes:
    """Return the head of a request."""
    host = () if "Host" in headers else (f"Host: {LOOPBACK}",)
    lines = [f"{method} {path} HTTP/1.1", *host, *(f"{name}: {headers[name]}" for name in headers)]
    return "\r\n".join(lines).encode() + HEAD_END


class Connection:
    """One connection, used again for as many requests as wanted."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection((LOOPBACK, port))
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):  # a timeout of Python's makes a socket non-blocking
            self.socket.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", TIMEOUT, 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray(BLOCK)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Send all of it."""
        self.socket.sendall(data)

    def send_file(self, descriptor: int, size: int, *, block: int) -> None:
        """Send `size` bytes that lie in memory as a file of `block` bytes, again and again, without a copy."""
        while size > 0:
            offset, length = 0, min(block, size)
            while offset < length:
                offset += os.sendfile(self.socket.fileno(), descriptor, offset, length - offset)
            size -= length

    def answer(self, *, keeps_body: bool = False) -> Answer:
        """Read an answer to its end."""
        head, _, rest = self._read_head().partition(HEAD_END)
        start, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        size = int(headers.get("content-length", 0))
        while keeps_body and len(rest) < size:
            rest += self._receive(BLOCK)
        self._discard(size - len(rest))
        return Answer(int(start.split()[1]), headers, size, rest if keeps_body else b"")

    def _read_head(self) -> bytes:
        data = b""
        while HEAD_END not in data:
            data += self._receive(4096)
        return data

    def _receive(self, most: int) -> bytes:
        received = self.socket.recv(most)
        if not received:
            raise ConnectionResetError("The server closed the connection without an answer.")
        return received

    def _discard(self, size: int) -> None:
        while size > 0:
            # The kernel throws the bytes away itself, which costs the client nothing.
            received = self.socket.recv_into(self._buffer, min(size, BLOCK), socket.MSG_TRUNC)
            if not received:
                raise ConnectionResetError(f"The server closed the connection {size} bytes before the end.")
            size -= received
