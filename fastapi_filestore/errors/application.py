"""Name the mistakes of those who write or set up an application."""

from collections.abc import Iterable, Sequence

from fastapi_filestore.errors.root import FilestoreError


class ConfigurationError(FilestoreError, ValueError):
    """A backend, a setting or a binding can't work as it was given."""


class SettingsError(ConfigurationError):
    """Environment variables hold wrong values; each problem names its variable and the remedy."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(("The file store's settings are wrong:", *(f"- {line}" for line in problems))))


class DuplicateBackendError(ConfigurationError):
    """Two backends of one registry were given the same key.

    `problem` says by whom, where it is not the caller alone who gives keys, and what to do.
    """

    def __init__(self, key: str, known: Iterable[str], problem: str | None = None) -> None:
        self.key, self.known, self.problem = key, tuple(known), problem
        known_keys = f"A backend {key!r} is registered already (known: {', '.join(map(repr, self.known))})"
        remedy = ": choose another key, unregister it first, or pass replace=True."
        super().__init__(known_keys + (remedy if problem is None else f", {problem}."))


class InvalidScopeError(ConfigurationError):
    """The scope of a service is no condition on its model's rows, or the service does not take it on."""


class OverlappingBackendsError(ConfigurationError):
    """Two backends of one registry would hold the same objects, so that each takes the other's for its own garbage."""

    def __init__(self, key: str, place: str, other: str, other_place: str) -> None:
        self.key, self.other = key, other
        super().__init__(
            f"Backend {key!r} would be at {place}, and {other!r} is at {other_place}: one holds objects of the other, "
            "and would delete them as its own. Give each a bucket, a folder or a prefix beside the other's; to rename "
            "a backend, change its name in the rows, too."
        )


class UnknownBackendError(ConfigurationError, LookupError):
    """No backend of that key is registered."""

    def __init__(self, key: str, known: Iterable[str]) -> None:
        self.key, self.known = key, tuple(known)
        names = ", ".join(map(repr, self.known)) or "none"
        super().__init__(
            f"No backend {key!r} is registered (known: {names}). Register it with storages.register_backend(...) or "
            f"set FILESTORE_BACKENDS__{key.upper()}__URL; what settings name is there inside files.lifespan and, in a "
            "script or a worker, inside `with files.opened():`."
        )


class BlockingCallError(FilestoreError, RuntimeError):
    """A blocking call was made where it would wait for ever: in the thread of the event loop that must serve it."""


class NeverAwaitedError(FilestoreError, RuntimeError):
    """A unit of work called coroutine methods and awaited none of them, so what they were to do was not done."""

    def __init__(self, calls: Sequence[str]) -> None:
        self.calls = tuple(calls)
        super().__init__(
            f"{', '.join(self.calls)}: called and never awaited, so nothing was done, and the unit of work is rolled "
            "back. In an `async def` endpoint write `await` before the call. In a `def` endpoint, which can't await, "
            "use `service.wait(service.create(...))`, and of a file its blocking twin, such as `file.save()`."
        )


class UnitOfWorkEndedError(FilestoreError, RuntimeError):
    """A service was to write after its unit of work had ended: nobody would commit that."""

    def __init__(self, model: str) -> None:
        self.model = model
        super().__init__(
            f"This unit of work of {model} has ended, so nobody would commit what is written now: that of a request "
            "ends before its response is sent, so before background tasks and streams, and each ends with its block, "
            "whichever of its tasks still run. Wait for all tasks, or open a unit of your own, with "
            f"your sessionmaker: `async with Session() as session, FileService(session, model={model}).unit_of_work() "
            "as service: await service.create(...)`."
        )
