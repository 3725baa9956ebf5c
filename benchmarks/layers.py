"""`make bench-layers`: where the time of a small upload goes, layer by layer, ours beside routes by hand.

Each application is called in its own process, without a server or a client around it, one upload after the other. A
clock interrupts it every half millisecond; what it finds at work is the layer of the innermost function that is not
Python's own. Nothing at work means that the loop waits: for threads, the database, the disk.
"""

import asyncio
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import MutableMapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any, Final

import uvloop
from starlette.types import ASGIApp

from benchmarks.actions import SMALL, UPLOAD
from benchmarks.client import form
from benchmarks.place import DatabaseKind
from benchmarks.server import open_place
from benchmarks.wire import HEAD_END
from tests.servers.postgres import run_postgres

CONTENDERS: Final = ("ours", "by_hand_ledger", "by_hand")
DATABASES: Final[tuple[DatabaseKind, ...]] = ("sqlite", "postgresql")
WARM_UP, UPLOADS = 100, 1500
EVERY: Final = 0.0005
"""Seconds between two looks."""

OURS: Final = "fastapi_filestore"
LAYERS: Final = {
    "fastapi": "FastAPI and Starlette", "starlette": "FastAPI and Starlette", "pydantic": "FastAPI and Starlette",
    "python_multipart": "python-multipart", "sqlalchemy": "SQLAlchemy and driver", "obstore": "obstore",
    "aiosqlite": "SQLAlchemy and driver", "asyncpg": "SQLAlchemy and driver", "contenders": "the route",
}  # fmt: skip
WAITING: Final = "waiting, and the loop"
Message = MutableMapping[str, Any]


def layer_of(frame: FrameType | None) -> str:
    """Return the layer of the innermost function that has one."""
    while frame is not None:
        if layer := layer_of_file(frame.f_code.co_filename):
            return layer
        frame = frame.f_back
    return WAITING


@cache
def layer_of_file(name: str) -> str | None:
    """Return the layer that a file is in, if it is in one."""
    parts = Path(name).parts
    if OURS in parts:
        return f"ours: {parts[parts.index(OURS) + 1]}"
    return next((LAYERS[part] for part in parts if part in LAYERS), None)


@dataclass(frozen=True, slots=True)
class Application:
    """An ASGI application, and what its lifespan gave to its requests."""

    app: ASGIApp
    state: dict[str, Any]

    async def upload(self, number: int) -> None:
        """Send one small file."""
        head, tail = form(number, UPLOAD, SMALL, {})
        lines, _, start = head.partition(HEAD_END)
        fields = (line.split(b": ", 1) for line in lines.split(b"\r\n")[1:])
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
            "path": UPLOAD, "raw_path": UPLOAD.encode(), "query_string": b"", "root_path": "",
            "headers": [(name.lower(), value) for name, value in fields], "server": None, "client": None,
            "state": dict(self.state),
        }  # fmt: skip
        body, answers = start + Random(number).randbytes(SMALL) + tail, list[Message]()

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            answers.append(message)

        await self.app(scope, receive, send)
        assert answers[0]["status"] == 201, answers


async def measure(app: ASGIApp) -> dict[str, float]:
    """Return microseconds of an upload by layer."""
    asked, answered, state = asyncio.Queue[Message](), asyncio.Queue[Message](), dict[str, Any]()
    life = asyncio.ensure_future(app({"type": "lifespan", "state": state}, asked.get, answered.put))
    await asked.put({"type": "lifespan.startup"})
    await answered.get()
    application, found = Application(app, state), Counter[str]()
    for number in range(WARM_UP):
        await application.upload(number)
    signal.signal(signal.SIGALRM, lambda _, frame: found.update([layer_of(frame)]))
    signal.setitimer(signal.ITIMER_REAL, EVERY, EVERY)
    started = time.perf_counter()
    for number in range(WARM_UP, WARM_UP + UPLOADS):
        await application.upload(number)
    each = (time.perf_counter() - started) / UPLOADS * 1e6
    signal.setitimer(signal.ITIMER_REAL, 0)
    await asked.put({"type": "lifespan.shutdown"})
    await life
    return {layer: each * count / found.total() for layer, count in found.items()}


def compare(database: DatabaseKind) -> str:
    """Measure all and return a table."""
    with ExitStack() as stack:
        postgres = stack.enter_context(run_postgres(fsync=True)) if database == "postgresql" else None
        taken = {}
        for name in CONTENDERS:
            with open_place("local", postgres, None) as place:
                command = (sys.executable, "-m", "benchmarks.layers", name)
                environment = {**os.environ, **place.environment()}
                output = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE).stdout
                taken[name] = Counter[str](json.loads(output))
    rows = sorted({layer for each in taken.values() for layer in each}, key=lambda layer: -taken["ours"][layer])
    lines = [f"| {layer} | " + " | ".join(f"{taken[name][layer]:.0f}" for name in CONTENDERS) + " |" for layer in rows]
    whole = "| **all** | " + " | ".join(f"**{taken[name].total():.0f}**" for name in CONTENDERS) + " |"
    head = f"| {database}, µs | " + " | ".join(CONTENDERS) + " |\n|" + " --- |" * (len(CONTENDERS) + 1)
    return "\n".join([head, *lines, whole])


if __name__ == "__main__":
    if sys.argv[1:]:
        module = importlib.import_module(f"benchmarks.contenders.{sys.argv[1]}")
        print(json.dumps(uvloop.run(measure(module.app))))
    else:
        print("\n\n".join(compare(database) for database in DATABASES))
