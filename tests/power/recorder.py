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

from fastapi_filestore.storage.local import open_folder
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
            folders = ("src_dir_fd", "dst_dir_fd") if operation in {"link", "rename"} else ("dir_fd",)
            self._wrap(monkeypatch, name, self._by_path(operation), folders)
        self._wrap(monkeypatch, "writev", self._written)
        self._wrap(monkeypatch, "copy_file_range", lambda size, _, file, *__: self._written(size, file))
        self._wrap(monkeypatch, "fdatasync", self._synced)
        self._wrap(monkeypatch, "fsync", self._synced)
        monkeypatch.setattr(open_folder, "FileIO", self._created)

    def _wrap(
        self, monkeypatch: pytest.MonkeyPatch, name: str, record: Callable[..., None], folders: Sequence[str] = ()
    ) -> None:
        """Record the calls of a function; `folders` are the options that name the open folders of its paths."""
        call: Callable[..., Any] = getattr(os, name)

        def recorded(*arguments: Any, **options: Any) -> Any:
            # One at a time, so that what was recorded first happened first.
            with self._lock:
                places = [_in_folder(each, options.get(name)) for each, name in zip(arguments, folders, strict=False)]
                result = call(*arguments, **options)
                record(result, *places, *arguments[len(folders) :])
            return result

        monkeypatch.setattr(os, name, recorded)

    def _by_path(self, operation: Operation) -> Callable[..., None]:
        def record(_: object, *arguments: Any) -> None:
            paths = [PurePosixPath(os.fspath(each)) for each in arguments if isinstance(each, str | os.PathLike)]
            if paths[0].is_relative_to(self.top):
                self.events.append(Call(operation, paths[0], paths[1] if len(paths) > 1 else None))

        return record

    def _created(self, path: str, mode: str, opener: Callable[[str, int], int]) -> FileIO:
        with self._lock:
            file = FileIO(path, mode, opener=opener)
            self.events.append(Call("create", _place(file.fileno())))
        return file

    def _written(self, size: int, file: int, *_: Sequence[bytes]) -> None:
        if size and (place := _place(file)).is_relative_to(self.top):
            self.events.append(Call("write", place, size=size))

    def _synced(self, _: None, file: int) -> None:
        if (place := _place(file)).is_relative_to(self.top):
            self.events.append(Call("sync_folder" if S_ISDIR(os.fstat(file).st_mode) else "sync", place))


def _in_folder(path: str | os.PathLike[str], folder: int | None) -> PurePosixPath:
    return PurePosixPath(path) if folder is None else _place(folder) / path


def _place(file: int) -> PurePosixPath:
    return PurePosixPath(Path(f"/proc/self/fd/{file}").readlink())


@contextmanager
def recording(top: Path) -> Iterator[Recorder]:
    """Record while the block runs."""
    recorder = Recorder(Path(os.path.realpath(top)))
    with pytest.MonkeyPatch.context() as monkeypatch:
        recorder.record_calls(monkeypatch)
        yield recorder
