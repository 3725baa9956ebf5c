"""A server that answers as a table says, and remembers what it was asked: a store, or what gives out credentials."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

EMPTY_XML = "<?xml version='1.0'?><Empty/>"


@dataclass
class Answering:
    """What the server was asked, in order, and where it is."""

    url: str = ""
    asked: list[tuple[str, str, Mapping[str, str]]] = field(default_factory=list[Any])

    def headers_of(self, start: str) -> list[Mapping[str, str]]:
        """Return the headers of the requests whose path begins so."""
        return [headers for _, path, headers in self.asked if path.startswith(start)]


@contextmanager
def answering(answer: Callable[[str, str], str | None]) -> Iterator[Answering]:
    """Run a server that answers with the text that a method and a path give, with 404 where that is None."""
    known = Answering()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            known.asked.append((self.command, self.path, headers))
            text = answer(self.command, self.path)
            body = (EMPTY_XML if text is None else text).encode()
            self.send_response(404 if text is None else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _answer  # noqa: N815 - as the server calls them

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    known.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield known
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
