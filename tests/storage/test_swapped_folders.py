"""A local process that swaps a folder of the store for a link: nothing outside is written, synced or removed."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from fastapi_filestore.errors import ObjectNotFoundError, StorageError
from fastapi_filestore.storage.backend import UnfinishedUpload
from fastapi_filestore.storage.local import open_folder
from fastapi_filestore.storage.obstore_backend import ObstoreBackend

SECONDS = float(os.environ.get("FILESTORE_RACE_SECONDS", "1.5"))
"""How long folders are swapped by another process."""
CALLS = (
    "open", "stat", "lstat", "readlink", "mkdir", "chmod", "link", "rename", "replace", "unlink", "rmdir", "fsync",
    "fdatasync", "writev", "listdir", "fstat", "close",
)  # fmt: skip
"""Before each of which the folder may be swapped."""
STAGED = "k#1234567890123"
Work = Callable[[ObstoreBackend], Awaitable[object]]


class UnreadableError(Exception):
    """Raised by content half-way."""


async def _pieces(*, breaks_off: bool) -> AsyncIterator[bytes]:
    for _ in range(4):
        yield bytes(300_000)
        await asyncio.sleep(0.005)  # for a thread that writes
    if breaks_off:
        raise UnreadableError


async def _drop(local: ObstoreBackend) -> None:
    await local.drop_unfinished("f/g/k")


async def _put_broken(local: ObstoreBackend) -> None:
    with suppress(UnreadableError):
        await local.put("f/g/new", _pieces(breaks_off=True))


async def _abort(local: ObstoreBackend) -> None:
    async for upload in local.unfinished_uploads():
        await local.abort_upload(UnfinishedUpload(upload.path, f"f/g/{STAGED}", upload.started))


WORKS: dict[str, Work] = {
    "put": lambda local: local.put("f/g/k", b"new"),
    "put where nothing is": lambda local: local.put("f/g/new", b"new", if_absent=True),
    "put into a new folder": lambda local: local.put("f/g/h/i/k", b"new"),
    "put much": lambda local: local.put("f/g/k", _pieces(breaks_off=False)),
    "put what breaks off": _put_broken,
    "copy": lambda local: local.copy("source", "f/g/k"),
    "copy from there": lambda local: local.copy("f/g/k", "copied"),
    "delete": lambda local: local.delete("f/g/k", "f/g/l"),
    "make_durable": lambda local: local.make_durable("f/g/k"),
    "abort": _abort,
    "drop": _drop,
}


class Disk:
    """A store beside a folder that is not its own, which has files of the same names."""

    def __init__(self, top: Path, **options: bool) -> None:
        self.root, self.outside = top / "root", top / "outside"
        for place in (self.root / "f", self.outside):
            (place / "g").mkdir(parents=True)
            for name in ("k", "l", STAGED):
                (place / "g" / name).write_text(place.name)
            (place / "empty").mkdir()
        (self.root / "source").write_text("source")
        self.local = ObstoreBackend("local", self.root, **options)
        self.before = self.seen()

    def seen(self) -> list[object]:
        """Return what is outside: each name, mode, link, age and content."""
        found: list[object] = []
        for path in sorted((self.outside, *self.outside.rglob("*"))):
            status = path.lstat()
            content = path.read_bytes() if path.is_file() else None
            found.append((path.name, status.st_mode, status.st_nlink, status.st_mtime_ns, status.st_ctime_ns, content))
        return found

    def swap(self, name: str) -> None:
        """Put a link to the folder outside in the place of one inside."""
        folder = self.root / name
        folder.rename(self.root / "away")
        folder.symlink_to(self.outside if name == "f" else self.outside / "g")

    def swap_back(self, name: str) -> None:
        """Undo it."""
        (self.root / name).unlink()
        (self.root / "away").rename(self.root / name)


class Swapper:
    """Swaps a folder before one call to the system, and back before another one."""

    def __init__(self, disk: Disk, name: str, at: int | None = None, back_at: int | None = None) -> None:
        self._disk, self._name, self._at, self._back_at = disk, name, at, back_at
        self.calls = 0
        self.synced: list[str] = []
        self._is_busy = False

    def watch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Begin to count."""
        for name in CALLS:
            monkeypatch.setattr(os, name, self._watched(name, getattr(os, name)))

    def _watched(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*arguments: Any, **options: Any) -> Any:
            if not self._is_busy:
                self._is_busy = True
                self._come(self.calls)
                self.calls += 1
                if name in {"fsync", "fdatasync"}:
                    self.synced.append(str(Path(f"/proc/self/fd/{arguments[0]}").readlink()))
                self._is_busy = False
            # The disk need confirm nothing here: thousands of syncs would be most of the time.
            return None if name in {"fsync", "fdatasync"} else call(*arguments, **options)

        return watched

    def _come(self, number: int) -> None:
        if number == self._at:
            self._disk.swap(self._name)
        elif number == self._back_at:
            self._disk.swap_back(self._name)


@contextmanager
def swapping(disk: Disk, name: str, at: int | None = None, back_at: int | None = None) -> Iterator[Swapper]:
    """Swap while the block runs."""
    swapper = Swapper(disk, name, at, back_at)
    with pytest.MonkeyPatch.context() as monkeypatch:
        swapper.watch(monkeypatch)
        yield swapper


async def find_harm(top: Path, work: Work, *, lasts: int | None, cleans: bool = False) -> list[str]:
    """Do a work once for each of its calls to the system, with a folder swapped before it; return what was harmed."""
    harm: list[str] = []
    disk = Disk(top / "whole", automatic_cleanup=cleans)
    with swapping(disk, "f") as counted:
        await work(disk.local)
    for name in ("f", "f/g"):
        for at in range(counted.calls):
            disk = Disk(top / f"{name.replace('/', '-')}-{at}", automatic_cleanup=cleans)
            with swapping(disk, name, at, None if lasts is None else at + lasts) as swapper, suppress(StorageError):
                await work(disk.local)
            if disk.seen() != disk.before:
                harm.append(f"{name} at {at}: changed")
            harm += [f"{name} at {at}: synced {path}" for path in swapper.synced if str(disk.outside) in path]
    assert counted.calls > 5
    return harm


@pytest.mark.parametrize("lasts", [None, 1], ids=["for good", "one call"])
@pytest.mark.parametrize("work", WORKS.values(), ids=WORKS)
async def test_a_swap_at_any_moment(tmp_path: Path, work: Work, lasts: int | None) -> None:
    """Whenever a folder is swapped for a link, and however long, the work harms nothing where the link leads."""
    assert await find_harm(tmp_path, work, lasts=lasts) == []


@pytest.mark.parametrize("lasts", [None, 1], ids=["for good", "one call"])
async def test_a_swap_while_empty_folders_are_removed(tmp_path: Path, lasts: int | None) -> None:
    """The same where a deletion removes folders that it leaves empty."""
    assert await find_harm(tmp_path, lambda local: local.delete("f/g/k", "f/g/l"), cleans=True, lasts=lasts) == []


@pytest.mark.parametrize("name", ["put", "put into a new folder", "copy", "delete", "abort", "drop"])
async def test_work_by_path_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A library that looks for links first, and then works by path, is caught at one of these moments."""
    monkeypatch.setattr(open_folder, "HOLDS_FOLDERS", False)

    assert await find_harm(tmp_path, WORKS[name], lasts=None)


@pytest.mark.parametrize("if_absent", [True, False])
async def test_a_staged_file_that_is_swapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, if_absent: bool) -> None:
    """A link in the place of a file that is about to be put in its own does not make the file outside an object."""
    disk = Disk(tmp_path)
    sync = os.fdatasync

    def swap(file: int) -> None:
        sync(file)
        staged = Path(f"/proc/self/fd/{file}").readlink()
        staged.unlink()
        staged.symlink_to(disk.outside / "g" / "k")

    monkeypatch.setattr(os, "fdatasync", swap)
    with suppress(StorageError):
        await disk.local.put("f/g/new", b"x", if_absent=if_absent)
    with pytest.raises(ObjectNotFoundError):
        await disk.local.open("f/g/new")

    assert disk.seen() == disk.before


SWAPPER = """
import ctypes, os, sys
root, outside, swaps = *sys.argv[1:], 0
os.symlink(outside, f"{root}/link")
names = [f"{root}/{name}".encode() for name in ("f", "link")]
exchange = ctypes.CDLL(None, use_errno=True).renameat2
print("ready", flush=True)
os.set_blocking(0, False)
ends = False
while not ends or swaps % 2:
    ends = ends or bool(sys.stdin.buffer.read(1))
    if exchange(-100, names[0], -100, names[1], 2):
        sys.exit(os.strerror(ctypes.get_errno()))
    swaps += 1
print(swaps)
"""
"""Exchanges a folder for a link and back as often as it can: at no moment is there neither."""


@contextmanager
def raced(disk: Disk) -> Iterator[list[int]]:
    """Have another process swap the folder as often as it can while the block runs; tell how often."""
    swaps: list[int] = []
    command = (sys.executable, "-c", SWAPPER, disk.root, disk.outside)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield swaps
        finally:
            try:
                swaps.append(int(process.communicate("x", timeout=10)[0]))
            finally:
                process.kill()


async def test_a_race_against_swaps(tmp_path: Path) -> None:
    """Uploads, copies, deletions and reads beside a process that swaps their folder all the time stay inside."""
    disk = Disk(tmp_path, durable=False)  # as quick as can be
    read = set[bytes]()

    async def look(local: ObstoreBackend) -> None:
        await local.put("f/g/k", b"inside")
        read.add(await (await local.open("f/g/k")).read())

    works = {**WORKS, "read": look}
    done, end = dict.fromkeys(works, 0), time.monotonic() + SECONDS
    with raced(disk) as swaps:
        while time.monotonic() < end or not all(done.values()):
            assert time.monotonic() < end + 30, done
            for name, work in works.items():
                with suppress(StorageError):
                    await work(disk.local)
                    done[name] += 1

    assert disk.seen() == disk.before
    assert read == {b"inside"}
    assert swaps[0] > 100
