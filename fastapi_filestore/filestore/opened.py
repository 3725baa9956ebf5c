"""Open an application's file storage for a block of a script or a worker, which has no lifespan: `Opened`."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Generic, TypeVar

from fastapi_filestore.concurrency.blocking import run_blocking

T = TypeVar("T")


class Opened(Generic[T]):
    """A context for `with` and for `async with`, which gives the Filestore; it may be entered again, and by threads."""

    def __init__(self, files: T, opening: Callable[..., AbstractAsyncContextManager[None]]) -> None:
        """Open what `opening` opens; `is_blocking` tells it that this is on the library's own event loop."""
        self._files, self._opening = files, opening
        self._entered = list[AbstractAsyncContextManager[None]]()

    def __enter__(self) -> T:
        opening = self._opening(is_blocking=True)
        run_blocking(opening.__aenter__())
        self._entered.append(opening)
        return self._files

    def __exit__(self, *error: object) -> None:
        run_blocking(self._entered.pop().__aexit__(None, None, None))

    async def __aenter__(self) -> T:
        opening = self._opening(is_blocking=False)
        await opening.__aenter__()
        self._entered.append(opening)
        return self._files

    async def __aexit__(self, *error: object) -> None:
        await self._entered.pop().__aexit__(None, None, None)
