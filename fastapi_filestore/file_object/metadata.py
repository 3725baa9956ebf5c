"""A file's metadata: a dict of texts that tells whoever watches it that it changed in place."""

from collections.abc import Callable, Mapping
from typing import Any, Self


class Metadata(dict[str, str]):
    """Any text by name; a row that holds the file watches it, so that a change in place is a change of the row."""

    __slots__ = ("_watchers",)

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        super().__init__(values or {})
        self._watchers: dict[object, Callable[[], None]] = {}

    def watch(self, watcher: object, changed: Callable[[], None]) -> None:
        """Call `changed` after every change from now on, once for each watcher."""
        self._watchers[watcher] = changed

    def replace(self, values: Mapping[str, str]) -> None:
        """Hold these values instead."""
        if values is not self:
            kept = dict(values)
            super().clear()
            self.update(kept)

    def tell(self) -> None:
        """Tell whoever watches that the file changed: its metadata here, its name or its type."""
        for changed in tuple(self._watchers.values()):
            changed()

    def __setitem__(self, name: str, value: str) -> None:
        super().__setitem__(name, value)
        self.tell()

    def __delitem__(self, name: str) -> None:
        super().__delitem__(name)
        self.tell()

    def __ior__(self, values: Any) -> Self:  # type: ignore[override, misc]
        self.update(values)
        return self

    def __reduce__(self) -> tuple[type[Self], tuple[dict[str, str]]]:
        # Watchers belong to a session; a copy or a pickle has none.
        return type(self), (dict(self),)

    def update(self, *args: Any, **kwargs: str) -> None:
        """Add values, as dict does."""
        super().update(*args, **kwargs)
        self.tell()

    def clear(self) -> None:
        """Remove all values, as dict does."""
        super().clear()
        self.tell()

    def pop(self, name: str, *default: Any) -> Any:
        """Remove a value and return it, as dict does."""
        value = super().pop(name, *default)
        self.tell()
        return value

    def popitem(self) -> tuple[str, str]:
        """Remove the last value, as dict does."""
        item = super().popitem()
        self.tell()
        return item

    def setdefault(self, name: str, default: str = "") -> str:
        """Add a value unless there is one, as dict does."""
        value = super().setdefault(name, default)
        self.tell()
        return value
