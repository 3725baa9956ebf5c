"""Rules: files come, go, change in place, and move from row to row."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from sqlalchemy.orm import Session

from fastapi_filestore.errors import SharedFileError, StaleFileError
from tests.model.plain import File, Place, Value, files_of
from tests.model.playing import COIN, PICK, Playing, chosen, play

LIST_CHANGES: Final = ("append", "insert", "pop", "slice", "sort", "assign", "extend", "add", "clear", "remove")


class FileRules(Playing):
    """What programs do with the files of rows."""

    @play(when=lambda machine: machine.places(), at=PICK, files=PICK, once=COIN)
    def replace(self, at: int, files: int, *, once: bool) -> None:
        """Put new files in a place."""
        place = chosen(self.places(), at)
        real, plain = self.new_value(files % 3) if self.scene.cell.multiple else self.new_file(once=once)
        self._set(place, real, plain)

    @play(when=lambda machine: machine.places(full=True), at=PICK)
    def clear(self, at: int) -> None:
        """Empty a place."""
        self._set(chosen(self.places(full=True), at), None, None)

    def _set(self, place: Place, real: Any, plain: Value) -> None:
        tag, column = place

        def assign(session: Session) -> None:
            setattr(self.side.find(session, tag), column, real)

        if self.edit(assign):
            self.side.note(place, plain)

    @play(when=lambda machine: machine.places(full=True), at=PICK, which=PICK, what=PICK)
    def change_in_place(self, at: int, which: int, what: int) -> None:
        """Change the metadata, the name or the type of a file."""
        self._change_in_place(chosen(self.places(full=True), at), which, what)

    def _change_in_place(self, place: Place, which: int, what: int) -> None:
        tag, column = place
        mark = f"m{next(self.scene.serial)}"
        index = which % len(files_of(self.side.sheet.value(place)))
        change: Callable[[Any], None]
        if what % 3 == 0:
            change = lambda file: file.metadata.update(mark=mark)  # noqa: E731 - one of three
        elif what % 3 == 1:
            change = lambda file: setattr(file, "filename", f"{mark}.txt")  # noqa: E731
        else:
            change = lambda file: setattr(file, "content_type", f"text/{mark}")  # noqa: E731

        def edit(session: Session) -> None:
            # In one expression: where the program keeps no rows, nobody holds this one when its file changes.
            value = getattr(self.side.find(session, tag), column)
            self.side.let_go()
            change(value[index % len(value)] if self.scene.cell.multiple else value)

        if self.edit(edit):
            plain = list(files_of(self.side.memory(place)))
            plain[index % len(plain)] = _changed(plain[index % len(plain)], what, mark)
            self.side.note(place, tuple(plain) if self.scene.cell.multiple else plain[0])

    @play(when=lambda machine: len(machine.places()) > 1 and machine.places(full=True), at=PICK, to=PICK, first=COIN)
    def move(self, at: int, to: int, *, first: bool) -> None:
        """Move a file from one place to another, which may lose its own."""
        source = chosen(self.places(full=True), at)
        target = chosen([place for place in self.places() if place != source], to)
        self._move(source, target, first=first)

    def _move(self, source: Place, target: Place, *, first: bool) -> bool:
        """Move a file; `first` takes it out of its old place before it comes to the new one."""
        if self.scene.cell.multiple:
            return self._move_between_lists(source, target)

        def move(session: Session) -> None:
            old, new = (self.side.find(session, tag) for tag, _ in (source, target))
            file = getattr(old, source[1])
            if first:
                setattr(old, source[1], None)
            setattr(new, target[1], file)
            if not first:
                setattr(old, source[1], None)

        return self.edit(move) and self._note(target, self.side.memory(source), source, None)

    def _move_between_lists(self, source: Place, target: Place) -> bool:
        def move(session: Session) -> None:
            old, new = (self.side.find(session, tag) for tag, _ in (source, target))
            file = getattr(old, source[1]).pop()
            if getattr(new, target[1]) is None:
                setattr(new, target[1], [file])
            else:
                getattr(new, target[1]).append(file)

        if not self.edit(move):
            return False
        *rest, last = files_of(self.side.memory(source))
        return self._note(target, (*files_of(self.side.memory(target)), last), source, tuple(rest))

    def _note(self, one: Place, value: Value, other: Place, rest: Value) -> bool:
        self.side.note(one, value)
        self.side.note(other, rest)
        return True

    @play(when=lambda machine: len(machine.places()) > 1 and machine.places(full=True), at=PICK, to=PICK)
    def swap(self, at: int, to: int) -> None:
        """Exchange what two places hold."""
        one = chosen(self.places(full=True), at)
        two = chosen([place for place in self.places() if place != one], to)

        def swap(session: Session) -> None:
            first, second = (self.side.find(session, tag) for tag, _ in (one, two))
            mine, other = getattr(first, one[1]), getattr(second, two[1])
            setattr(first, one[1], other if other is None or not self.scene.cell.multiple else list(other))
            setattr(second, two[1], mine if not self.scene.cell.multiple else list(mine))

        if self.edit(swap):
            self._note(one, self.side.memory(two), two, self.side.memory(one))

    @play(when=lambda machine: len(machine.places()) > 1 and machine.places(full=True), at=PICK, to=PICK)
    def share(self, at: int, to: int) -> None:
        """Put a file in a second place, which is refused."""
        source = chosen(self.places(full=True), at)
        target = chosen([place for place in self.places() if place != source], to)

        def share(session: Session) -> None:
            old, new = (self.side.find(session, tag) for tag, _ in (source, target))
            file = getattr(old, source[1])
            setattr(new, target[1], list(file) if self.scene.cell.multiple else file)

        if self.edit(share):
            # A trigger saw raw SQL take the file out of its place: until the commit that looks like garbage.
            errors = (SharedFileError, StaleFileError) if self.side.raw_sql else (SharedFileError,)
            self.refused(lambda: self.side.do(lambda session: session.commit()), *errors, ends=True)

    @play(
        when=lambda machine: machine.scene.cell.multiple and machine.places(full=True), at=PICK, which=PICK, change=PICK
    )
    def change_list(self, at: int, which: int, change: int) -> None:
        """Change a list of files as lists are changed."""
        place = chosen(self.places(full=True), at)
        tag, column = place
        name = chosen(list(LIST_CHANGES), change)
        real, plain = self.new_file()

        def edit(session: Session) -> None:
            row = self.side.find(session, tag)
            files = getattr(row, column)
            if name == "assign":
                setattr(row, column, [*reversed(files), real])
            else:
                _change_list(files, name, which % (len(files) + 1), real, sort_key=lambda file: file.filename)

        if self.edit(edit):
            files = list(files_of(self.side.memory(place)))
            if name == "assign":
                files = [*reversed(files), plain]
            else:
                _change_list(files, name, which % (len(files) + 1), plain, sort_key=lambda file: file.filename)
            self.side.note(place, tuple(files))


def _changed(file: File, what: int, mark: str) -> File:
    if what % 3 == 0:
        return file.marked(mark)
    if what % 3 == 1:
        return replace(file, filename=f"{mark}.txt")
    return replace(file, content_type=f"text/{mark}")


def _change_list(files: Any, name: str, index: int, new: Any, *, sort_key: Callable[[Any], Any]) -> None:
    """Change a list, of files or of what the model knows of them."""
    last = min(index, len(files) - 1)
    changes: dict[str, Callable[[], object]] = {
        "append": lambda: files.append(new),
        "insert": lambda: files.insert(index, new),
        "pop": lambda: files.pop(last),
        "slice": lambda: files.__setitem__(slice(index, index + 2), [new]),
        "sort": lambda: files.sort(key=sort_key, reverse=bool(index % 2)),
        "extend": lambda: files.extend([new]),
        "add": lambda: files.__iadd__([new]),
        "clear": files.clear,
        "remove": lambda: files.remove(files[last]),
    }
    changes[name]()
