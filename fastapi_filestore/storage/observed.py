"""Tell OpenTelemetry of every call of a backend, whoever's class it is, while somebody collects it.

The methods of a backend are wrapped in place, so that it stays what it is, with all its optional parts; and while
nobody collects anything they are not wrapped at all.
"""

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Self, cast
from weakref import WeakKeyDictionary

from fastapi_filestore.concurrency.forks import forkable_lock
from fastapi_filestore.storage.backend import Closable, ObjectInfo, ObjectStream, StorageBackend
from fastapi_filestore.storage.registry import StorageRegistry
from fastapi_filestore.telemetry import COLLECTOR, names

Call = Callable[..., Awaitable[Any]]
_observed: "WeakKeyDictionary[StorageRegistry, int]" = WeakKeyDictionary()
"""How many applications want the backends of a registry observed."""
_guard = forkable_lock()


@contextmanager
def observing(registry: StorageRegistry) -> Iterator[None]:
    """Observe the backends of a registry while the block runs, if anybody collects what is told."""
    if COLLECTOR.instruments is None:
        yield
        return
    with _guard:  # threads may begin and end blocks at once
        _observed[registry] = _observed.get(registry, 0) + 1
        registry.on_register = observe
        for backend in registry:
            observe(backend)
    try:
        yield
    finally:
        with _guard:
            _observed[registry] -= 1
            if not _observed[registry]:
                registry.on_register = None
                for backend in registry:
                    _let_be(backend)


def observe(backend: StorageBackend) -> None:
    """Wrap the methods of a backend that are calls of its store; one with slots can't be observed."""
    for name, wrap in WRAPPERS.items():
        call = getattr(backend, name, None)
        if call is not None and name not in getattr(backend, "__dict__", {name}):
            setattr(backend, name, wrap(backend.key, call))


def _let_be(backend: StorageBackend) -> None:
    for name in WRAPPERS:
        method = getattr(backend, "__dict__", {}).get(name)
        if getattr(method, "__module__", None) == __name__:
            delattr(backend, name)


def _put(backend: str, put: Call) -> Call:
    async def observed(path: str, *arguments: Any, **options: Any) -> ObjectInfo:
        if (instruments := COLLECTOR.instruments) is None:
            return cast("ObjectInfo", await put(path, *arguments, **options))
        with instruments.uploading(backend), instruments.store_call("put", backend, path) as told:
            info: ObjectInfo = await put(path, *arguments, **options)
            told.note(names.SIZE, info.size)
            instruments.moved(backend, "in", info.size)
            return info

    return observed


def _open(backend: str, open_: Call) -> Call:
    async def observed(path: str, **options: Any) -> ObjectStream:
        if (instruments := COLLECTOR.instruments) is None:
            return cast("ObjectStream", await open_(path, **options))
        with instruments.store_call("open", backend, path) as told:
            stream: ObjectStream = await open_(path, **options)
            told.note(names.SIZE, stream.end - stream.start)
        return replace(stream, chunks=_CountedChunks(backend, stream.chunks, aiter(stream.chunks)))

    return observed


@dataclass(slots=True)
class _CountedChunks:
    """The bytes of an object, counted as they are read."""

    backend: str
    chunks: AsyncIterable[bytes]
    inner: AsyncIterator[bytes]

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        chunk = await anext(self.inner)
        if (instruments := COLLECTOR.instruments) is not None:
            instruments.moved(self.backend, "out", len(chunk))
        return chunk

    async def aclose(self) -> None:
        """Let go of what is being read."""
        for part in (self.inner, self.chunks):
            if isinstance(part, Closable):
                await part.aclose()
                return


def _single(operation: str) -> Callable[[str, Call], Call]:
    """Return what wraps a method whose first argument is a path."""

    def wrap(backend: str, call: Call) -> Call:
        async def observed(path: str, *arguments: Any, **options: Any) -> Any:
            if (instruments := COLLECTOR.instruments) is None:
                return await call(path, *arguments, **options)
            with instruments.store_call(operation, backend, path) as told:
                answer = await call(path, *arguments, **options)
                told.note(names.SIZE, answer.size if isinstance(answer, ObjectInfo) else None)
                return answer

        return observed

    return wrap


def _delete(backend: str, delete: Call) -> Call:
    async def observed(*paths: str) -> None:
        if (instruments := COLLECTOR.instruments) is None or not paths:
            await delete(*paths)
            return
        with instruments.store_call("delete", backend, paths[0] if len(paths) == 1 else None) as told:
            told.note(names.OBJECTS, len(paths))
            await delete(*paths)

    return observed


def _list(backend: str, list_: Callable[..., AsyncIterator[ObjectInfo]]) -> Callable[..., AsyncIterator[ObjectInfo]]:
    def observed(*arguments: Any, **options: Any) -> AsyncIterator[ObjectInfo]:
        infos = list_(*arguments, **options)
        return infos if (instruments := COLLECTOR.instruments) is None else instruments.listing(backend, infos)

    return observed


WRAPPERS: dict[str, Callable[[str, Any], Any]] = {
    "put": _put,
    "open": _open,
    "head": _single("head"),
    "copy": _single("copy"),
    "delete": _delete,
    "list": _list,
    "sign": _single("sign"),
    "sign_once": _single("sign"),
    "sign_download": _single("sign"),
    "sign_for_proxy": _single("sign"),
}
"""What wraps each method of a backend."""
