"""Columns of other registries than the audit's: a key may mean another place there, and another key the same place."""

from collections.abc import Collection, Iterable, Iterator

from fastapi_filestore.service.references import FileTable, Reference
from fastapi_filestore.storage.backend import PlacedObjects, StorageBackend
from fastapi_filestore.storage.registry import StorageRegistry


class OtherRegistries:
    """The registries of some tables' columns that are not the audit's own.

    Only what is registered in them counts: a column's registry may be empty, as the process's own is where everything
    goes through another.
    """

    def __init__(self, tables: Iterable[FileTable], own: StorageRegistry) -> None:
        self._own = own
        self._of_columns = {
            (table.table, name): registry
            for table in tables
            for name, registry in table.registries.items()
            if registry is not own
        }

    def is_elsewhere(self, table: FileTable, column: str, backend: str) -> bool:
        """Tell whether files of a column with a backend's key are in another registry's place, which is not audited."""
        other = self._of_columns.get((table.table, column))
        if other is None or backend not in other:
            return False
        if backend not in self._own:
            return True
        one, own = other.get_backend(backend), self._own.get_backend(backend)
        return isinstance(one, PlacedObjects) and isinstance(own, PlacedObjects) and one.place != own.place

    def split(self, table: FileTable, references: Iterable[Reference]) -> tuple[list[Reference], list[Reference]]:
        """Return those of a table's references that the audit is about, and those that only hold objects."""
        asked, others = list[Reference](), list[Reference]()
        for one in references:
            is_asked = table.is_asked and not self.is_elsewhere(table, one.row.column, one.backend)
            (asked if is_asked else others).append(one)
        return asked, others

    def claims(self, keys: Collection[str]) -> Iterator[tuple[str, str]]:
        """Yield each of the audit's backends whose place one of another registry shares, and what that means."""
        others = [backend for registry in {*self._of_columns.values()} for backend in registry]
        for own in map(self._own.get_backend, keys):
            for other in others:
                if _shares_place(own, other) and isinstance(other, PlacedObjects):
                    yield (
                        own.key,
                        (
                            f"backend {other.key!r} of another registry is at {other.url}, and objects of its rows may "
                            "look like orphans here: give each a folder, a bucket or a prefix beside the other's."
                        ),
                    )


def _shares_place(one: StorageBackend, other: StorageBackend) -> bool:
    """Tell whether two backends may hold one object under two names."""
    if not (isinstance(one, PlacedObjects) and isinstance(other, PlacedObjects)):
        return False
    return one.place.overlaps(other.place) and (one.key, one.place) != (other.key, other.place)
