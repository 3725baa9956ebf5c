"""Records every call that changes or syncs what is below a folder, by whichever thread of this process."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import FileIO
from pathlib import Path, PurePosixPath
from stat import S_ISDIR
from threading import RLock
from typing import Any

import pytest

from fastapi_filestore.storage.obstore import staged_file
from tests.power.calls import Call, Event, Operation

PATH_CALLS: dict[str, Operation] = {
    "mkdir": "make",
    "unlink": "remove",
    "remove": "remove",
    "rmdir": "remove_folder",
    "link": "link",
    "rename": "rename",
    "replace": "rename",
}


class Recorder:
    """The calls, in the order in which the disk saw them, and what was promised in between."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.events: list[Event] = []
        self._lock = RLock()

    def note(self, event: Event) -> None:
        """Add what was promised."""
        with self._lock:
            self.events.append(event)

    def record_calls(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Begin to record."""
        for name, operation in PATH_CALLS.items():
            self._wrap(monkeypatch, name, self._by_path(operation))
        self._wrap(monkeypatch, "writev", self._written)
        self._wrap(monkeypatch, "copy_file_range", lambda size, _, file, *__: self._written(size, file))
        self._wrap(monkeypatch, "fdatasync", self._synced)
        self._wrap(monkeypatch, "fsync", self._synced)
        monkeypatch.setattr(staged_file, "FileIO", self._created)

    def _wrap(self, monkeypatch: pytest.MonkeyPatch, name: str, record: Callable[..., None]) -> None:
        call: Callable[..., Any] = getattr(os, name)

        def recorded(*arguments: Any, **options: Any) -> Any:
            # One at a time, so that what was recorded first happened first.
            with self._lock:
                result = call(*arguments, **options)
                record(result, *arguments)
            return result

        monkeypatch.setattr(os, name, recorded)

    def _by_path(self, operation: Operation) -> Callable[..., None]:
        def record(_: object, *arguments: Any) -> None:
            paths = [PurePosixPath(os.fspath(each)) for each in arguments if isinstance(each, str | os.PathLike)]
            if paths[0].is_relative_to(self.top):
                self.events.append(Call(operation, paths[0], paths[1] if len(paths) > 1 else None))

        return record

    def _created(self, path: Path, mode: str) -> FileIO:
        with self._lock:
            file = FileIO(path, mode)
            self.events.append(Call("create", _place(file.fileno())))
        return file

    def _written(self, size: int, file: int, *_: Sequence[bytes]) -> None:
        if size and (place := _place(file)).is_relative_to(self.top):
            self.events.append(Call("write", place, size=size))

    def _synced(self, _: None, file: int) -> None:
        if (place := _place(file)).is_relative_to(self.top):
            self.events.append(Call("sync_folder" if S_ISDIR(os.fstat(file).st_mode) else "sync", place))


def _place(file: int) -> PurePosixPath:
    return PurePosixPath(Path(f"/proc/self/fd/{file}").readlink())


@contextmanager
def recording(top: Path) -> Iterator[Recorder]:
    """Record while the block runs."""
    recorder = Recorder(Path(os.path.realpath(top)))
    with pytest.MonkeyPatch.context() as monkeypatch:
        recorder.record_calls(monkeypatch)
        yield recorder
