"""A disk that keeps, of all that it was not made to keep, whatever is worst."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from tests.power.calls import Call


@dataclass(eq=False, slots=True)
class File:
    """A file: bytes are appended, and kept once it is synced."""

    size: int = 0
    synced: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether a power cut takes nothing of it."""
        return self.size == self.synced


@dataclass(eq=False, slots=True)
class Folder:
    """A folder: a name that is given or taken may or may not be so after a power cut, until the folder is synced."""

    names: "dict[str, File | Folder]" = field(default_factory=dict)
    unsynced: "dict[str, set[File | Folder | None]]" = field(default_factory=dict)

    def put(self, name: str, node: "File | Folder | None") -> None:
        """Let a name stand for something else, or for nothing."""
        self.unsynced.setdefault(name, {self.names.get(name)}).add(node)
        if node is None:
            del self.names[name]
        else:
            self.names[name] = node

    def after_a_cut(self, name: str) -> "set[File | Folder | None]":
        """Return all that a name may stand for."""
        return self.unsynced.get(name, {self.names.get(name)})


class Disk:
    """A disk with nothing but the folder that everything is in, which is kept."""

    def __init__(self, top: PurePosixPath) -> None:
        self.top = top
        self._root = Folder()

    def apply(self, call: Call) -> None:
        """Do what was asked for."""
        path = call.path
        match call.operation:
            case "create" | "make":
                self._folder(path.parent).put(path.name, File() if call.operation == "create" else Folder())
            case "write":
                self._file(path).size += call.size
            case "sync":
                file = self._file(path)
                file.synced = file.size
            case "sync_folder":
                self._folder(path).unsynced.clear()
            case "link":
                self._place(path, call.target)
            case "rename":
                self._place(path, call.target)
                self._folder(path.parent).put(path.name, None)
            case "remove" | "remove_folder":
                self._folder(path.parent).put(path.name, None)

    def files(self) -> dict[PurePosixPath, int]:
        """Return the size of every file as it is now."""
        return dict(_files_in(self._root, self.top))

    def after_a_cut(self, path: PurePosixPath) -> set[File | None]:
        """Return all that may be found at a path after a power cut."""
        found: set[File | Folder | None] = {self._root}
        for part in path.relative_to(self.top).parts:
            found = {
                node
                for folder in found
                for node in (folder.after_a_cut(part) if isinstance(folder, Folder) else (None,))
            }
        return {node if isinstance(node, File) else None for node in found}

    def names_after_a_cut(self) -> set[PurePosixPath]:
        """Return the path of every file that may be found after a power cut."""
        return set(_possible_in(self._root, self.top))

    def _place(self, path: PurePosixPath, target: PurePosixPath | None) -> None:
        assert target is not None
        self._folder(target.parent).put(target.name, self._now(path))

    def _file(self, path: PurePosixPath) -> File:
        node = self._now(path)
        assert isinstance(node, File)
        return node

    def _folder(self, path: PurePosixPath) -> Folder:
        node = self._now(path)
        assert isinstance(node, Folder)
        return node

    def _now(self, path: PurePosixPath) -> File | Folder:
        node: File | Folder = self._root
        for part in path.relative_to(self.top).parts:
            assert isinstance(node, Folder)
            node = node.names[part]
        return node


def _files_in(folder: Folder, path: PurePosixPath) -> Iterator[tuple[PurePosixPath, int]]:
    for name, node in folder.names.items():
        if isinstance(node, Folder):
            yield from _files_in(node, path / name)
        else:
            yield path / name, node.size


def _possible_in(folder: Folder, path: PurePosixPath) -> Iterator[PurePosixPath]:
    for name in folder.names.keys() | folder.unsynced.keys():
        for node in folder.after_a_cut(name):
            if isinstance(node, Folder):
                yield from _possible_in(node, path / name)
            elif node is not None:
                yield path / name
