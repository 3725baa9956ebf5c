"""Keep a file's metadata: a dict of texts that tells whoever watches it that it changed in place."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Self, TypeAlias
from weakref import WeakValueDictionary

from fastapi_filestore.errors import UnsupportedContentError

NO_TEXT = re.compile("[\0\ud800-\udfff]")
"""What Python has in text and JSON in a database has not."""
Repeat: TypeAlias = Callable[[Any], object]
"""Makes a change once more, in another description of the same file."""
Watcher: TypeAlias = "Callable[[Metadata, Repeat], None]"
"""Is told of the metadata of a file that changed, and how to repeat the change."""


def check_metadata(values: Any) -> dict[str, str]:
    """Return what is to be a file's metadata as a dict.

    Raises:
        UnsupportedContentError: It does not map text to text.
    """
    if not isinstance(values, Mapping):
        raise UnsupportedContentError(f"Metadata maps text to text, and is no {type(values).__name__}.")
    for name, value in values.items():
        if not isinstance(name, str):
            raise UnsupportedContentError(
                f"Metadata maps text to text, but the name {name!r} is a {type(name).__name__}."
            )
        if not isinstance(value, str):
            raise UnsupportedContentError(f"Metadata maps text to text, but {name!r} is a {type(value).__name__}.")
        if NO_TEXT.search(name + value):
            raise UnsupportedContentError(
                f"The metadata {name!a} has a NUL or half a surrogate pair, which no database takes: leave it out."
            )
    return dict(values)


class Metadata(dict[str, str]):
    """Any text by name; a row that holds the file watches it, so that a change in place is a change of the row."""

    __slots__ = ("__weakref__", "_watchers")

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        super().__init__(values or {})
        self._watchers: dict[object, Watcher] = {}

    def watch(self, name: object, watcher: Watcher) -> None:
        """Tell a watcher of every change from now on, in place of the one that had its name before."""
        self._watchers[name] = watcher
        unseen.pop(id(self), None)

    def replace(self, values: Mapping[str, str]) -> None:
        """Hold these values instead."""
        if values is not self:
            kept = check_metadata(values)
            super().clear()
            super().update(kept)
            self.tell(lambda file: file.metadata.replace(kept))

    def tell(self, repeat: Repeat) -> None:
        """Tell whoever watches that the file changed: its metadata here, its name or its type."""
        if not self._watchers:
            unseen[id(self)] = self
        for watcher in tuple(self._watchers.values()):
            watcher(self, repeat)

    def __setitem__(self, name: str, value: str) -> None:
        self.update({name: value})

    def __delitem__(self, name: str) -> None:
        super().__delitem__(name)
        self.tell(lambda file: file.metadata.pop(name, None))

    def __ior__(self, values: Any) -> Self:  # type: ignore[override, misc]
        self.update(values)
        return self

    def __reduce__(self) -> tuple[type[Self], tuple[dict[str, str]]]:
        # Watchers belong to a session; a copy or a pickle has none.
        return type(self), (dict(self),)

    def update(self, *args: Any, **kwargs: str) -> None:
        """Add values, as dict does."""
        values = check_metadata(dict(*args, **kwargs))
        super().update(values)
        self.tell(lambda file: file.metadata.update(values))

    def clear(self) -> None:
        """Remove all values, as dict does."""
        super().clear()
        self.tell(lambda file: file.metadata.clear())

    def pop(self, name: str, *default: Any) -> Any:
        """Remove a value and return it, as dict does."""
        value = super().pop(name, *default)
        self.tell(lambda file: file.metadata.pop(name, None))
        return value

    def popitem(self) -> tuple[str, str]:
        """Remove the last value, as dict does."""
        item = super().popitem()
        self.tell(lambda file: file.metadata.pop(item[0], None))
        return item

    def setdefault(self, name: str, default: str = "") -> str:
        """Add a value unless there is one, as dict does."""
        value = super().setdefault(name, check_metadata({name: default})[name])
        self.tell(lambda file: file.metadata.setdefault(name, default))
        return value


unseen: "WeakValueDictionary[int, Metadata]" = WeakValueDictionary()
"""What changed while no row of a session watched it, by its `id`: it may be in a row that nobody told of it."""
