"""A server that a script calls when it runs, and that shows the pages of an attacker."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.servers.process import LOOPBACK

BEACON = "/beacon/"


@dataclass(frozen=True, slots=True)
class Canary:
    """A host that is not the application's: what was asked of its beacons, and the pages that it has."""

    url: str
    hits: list[str] = field(default_factory=list)
    pages: dict[str, tuple[str, bytes]] = field(default_factory=dict)

    def beacon(self, name: str) -> str:
        """Return the URL that a script of this name calls."""
        return f"{self.url}{BEACON}{name}"

    def show(self, path: str, content_type: str, content: bytes) -> str:
        """Have a page, without any header that defends, and return its URL."""
        self.pages[path] = (content_type, content)
        return self.url + path

    def answer(self, path: str) -> tuple[int, Mapping[str, str], bytes]:
        """Answer a request, and note it if it is a beacon's."""
        if path.startswith(BEACON):
            self.hits.append(path.removeprefix(BEACON))
            return 204, {"Access-Control-Allow-Origin": "*"}, b""
        content_type, content = self.pages.get(path, ("text/plain", b""))
        return 200 if path in self.pages else 404, {"Content-Type": content_type}, content


@contextmanager
def run_canary() -> Iterator[Canary]:
    """Run the server on a port of its own."""
    canaries: list[Canary] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, content = canaries[0].answer(self.path)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET  # noqa: N815 - what the library calls

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Print nothing."""

    with ThreadingHTTPServer((LOOPBACK, 0), Handler) as server:
        canaries.append(Canary(f"http://{LOOPBACK}:{server.server_port}"))
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield canaries[0]
        server.shutdown()
        thread.join()
