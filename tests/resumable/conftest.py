"""One server, a line to it, and files that are sent."""

import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.resumable.line import Line, line_to
from tests.resumable.page import write_pages
from tests.resumable.server import Server, run_server
from tests.servers.process import served, temporary_folder

SIZE = 6_000_000


@dataclass(frozen=True, slots=True)
class Film:
    """A file, and its bytes."""

    path: Path
    content: bytes

    def check_stored(self, server: Server) -> None:
        """Raise unless it is what the one row of a server has, once there is one."""
        row = server.first_row()
        assert row["title"] == row["file"]["filename"] == self.path.name
        assert row["file"]["content_type"] == "video/mp4"
        assert server.content(row) == self.content
        assert len(server.rows()) == 1


@pytest.fixture(scope="session")
def running_server() -> Iterator[Server]:
    """The application of the page, with its pages."""
    with temporary_folder("resumed") as folder:
        write_pages(folder / "pages")
        with served(lambda: run_server(folder)) as server:
            yield server


@pytest.fixture
def server(running_server: Server) -> Iterator[Server]:
    """The application, without rows in the end."""
    yield running_server
    running_server.clear()


@pytest.fixture
async def line(server: Server) -> AsyncIterator[Line]:
    """A line to it."""
    async with line_to(server.port) as line:
        yield line


@pytest.fixture
def film(tmp_path: Path) -> Film:
    """A file of a few megabytes, which no other has."""
    film = Film(tmp_path / "my film.mp4", os.urandom(SIZE))
    film.path.write_bytes(film.content)
    return film
