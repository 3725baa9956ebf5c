"""A store that answers every request as it is told to: with the codes of S3, Azure and Google, or with nonsense."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.servers.process import LOOPBACK

NONE: Mapping[str, str] = {}
QUICK = {"max_retries": 0}


@dataclass(frozen=True)
class Request:
    """What was asked."""

    method: str
    path: str


@dataclass(frozen=True)
class Answer:
    """What is answered."""

    status: int
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class RefusingStore:
    """A server on loopback; `answer` is a function of requests, all of which are kept."""

    endpoint: str
    answer: Callable[[Request], Answer] = field(default=lambda _: Answer(500))
    requests: list[Request] = field(default_factory=list)

    def refuse(self, answer: Answer) -> None:
        """Answer all requests alike."""
        self.answer = lambda _: answer


def error_of(code: str, inside: str = "") -> str:
    """Return the body of an answer as S3, Azure and Google write it, with what must never be repeated."""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>SECRET-MESSAGE</Message>{inside}'
        "<StringToSign>SECRET-TO-SIGN</StringToSign><RequestId>R</RequestId></Error>"
    )


@contextmanager
def run_refusing_store() -> Iterator[RefusingStore]:
    """Run it for as long as the block runs."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _handle(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            request = Request(self.command, self.path)
            store.requests.append(request)
            answer = store.answer(request)
            body = answer.body.encode()
            self.send_response(answer.status)
            for name, value in {"Content-Length": str(len(body)), **answer.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _handle  # noqa: N815 - names of http.server

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as http.server calls it
            """Say nothing."""

    server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
    store = RefusingStore(f"http://{LOOPBACK}:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield store
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
