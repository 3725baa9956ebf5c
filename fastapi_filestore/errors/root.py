"""Hold the root of all errors, which reaches other processes whole."""

import pickle
from collections.abc import Callable
from contextvars import ContextVar


class FilestoreError(Exception):
    """The root: catch it to catch everything this library raises.

    Pickled, as on its way from a worker process, it keeps its text and its attributes; a note tells of its cause. A
    copy has the same attributes, and the same cause.
    """

    def __reduce__(self) -> tuple[Callable[..., Exception], tuple[object, ...], dict[str, object]]:
        """Return how to make it again: not by its class's own arguments, of which its text is made."""
        # What is pickled to see whether it can be is not looked into again: errors that lead to each other would be
        # pickled as often as there are ways between them.
        keep: Callable[[object], object] = (lambda value: value) if _is_looked_into.get() else _picklable
        state = {name: keep(value) for name, value in vars(self).items()}
        if self.__cause__ is not None:
            notes = [*getattr(self, "__notes__", ()), f"Its cause was {self.__cause__!r}."]
            state["__notes__"] = notes
        return _remake, (type(self), *map(keep, self.args)), state

    def __setstate__(self, state: dict[str, object] | None) -> None:
        """Take attributes over, which a frozen dataclass would not let anybody set."""
        vars(self).update(state or {})

    def __copy__(self) -> Exception:
        """Return another one with the very same attributes."""
        copied = _remake(type(self), *self.args)
        vars(copied).update(vars(self))
        if notes := getattr(self, "__notes__", None):
            vars(copied)["__notes__"] = [*notes]
        if self.__cause__ is not None:
            BaseException.__setattr__(copied, "__cause__", self.__cause__)
        return copied


_is_looked_into: ContextVar[bool] = ContextVar("fastapi_filestore_is_looked_into", default=False)
"""True while something is pickled only to see if it can be."""


def _remake(family: type[Exception], *args: object) -> Exception:
    error = (OSError if issubclass(family, OSError) else Exception).__new__(family)
    # An OSError takes none before its __init__, and a frozen dataclass lets nobody set them in its own way.
    BaseException.__setattr__(error, "args", args)
    return error


def _picklable(value: object) -> object:
    """Return a value, or its text if another process could not read it: a pool would wait for it for ever."""
    around = _is_looked_into.set(True)
    try:
        pickle.loads(pickle.dumps(value))  # noqa: S301 - what was pickled a moment ago
    except Exception:  # noqa: BLE001 - whatever a value raises that can't be pickled
        return repr(value)
    finally:
        _is_looked_into.reset(around)
    return value
