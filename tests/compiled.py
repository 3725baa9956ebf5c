"""What SQLAlchemy has compiled, for all engines of a driver: each test has one, and would compile everything again."""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy.util import LRUCache

MOST: Final = 2000
"""Statements that are kept of one driver."""


class CompiledOfDriver(LRUCache[tuple[Any, ...], Any]):
    """Compiled statements, found by those whose dialect is another one of the same kind, too."""

    def get(self, key: tuple[Any, ...], default: Any = None) -> Any:
        """Return what was compiled for any dialect of the kind, which each key begins with."""
        return super().get(key[1:], default)

    def __setitem__(self, key: tuple[Any, ...], compiled: Any) -> None:
        super().__setitem__(key[1:], compiled)


_compiled: Final[dict[str, CompiledOfDriver]] = {}


def compiled_for(url: str) -> Mapping[str, Any]:
    """Return execution options for the engine of a URL, which share what others of its driver compiled."""
    driver, _, _ = url.partition(":")
    return {"compiled_cache": _compiled.setdefault(driver, CompiledOfDriver(MOST))}
