"""Give a stored file a path on this machine, for programs that read no other way."""

import os
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, aclosing
from pathlib import Path, PurePosixPath
from typing import Final

from fastapi_filestore.concurrency.blocking import run_blocking
from fastapi_filestore.concurrency.shielded import finish
from fastapi_filestore.concurrency.threads import THREADS
from fastapi_filestore.file_object.open_file import refuse_in_loop
from fastapi_filestore.storage.backend import ObjectStream

LONGEST_ENDING: Final = 16
"""Characters of a filename's ending that its copy keeps: programs go by ".tar" and ".parquet", not by prose."""


class PathOfFile(AbstractContextManager[Path], AbstractAsyncContextManager[Path]):
    """The path of a file while a `with` or an `async with` block runs.

    It is that of a temporary copy, with the ending of the filename, which is deleted at the end of the block; or of the
    object itself, if it lies on local disk and was asked for to be read only.
    """

    def __init__(
        self, filename: str, own_path: Path | None, open_stream: Callable[[], Awaitable[ObjectStream]]
    ) -> None:
        self._filename, self._own_path, self._open_stream = filename, own_path, open_stream
        self._copy: Path | None = None

    async def __aenter__(self) -> Path:
        stream = await self._open_stream()
        async with aclosing(stream):  # which tells a missing object, too
            if self._own_path is not None:
                return self._own_path
            ending = PurePosixPath(self._filename).suffix
            if len(ending) > LONGEST_ENDING or not ending[1:].isascii() or not ending[1:].isalnum():
                ending = ""
            handle, name = tempfile.mkstemp(ending, "filestore-")
            self._copy = Path(name)
            try:
                with os.fdopen(handle, "wb") as target:
                    async for chunk in stream:
                        await THREADS.run(target.write, chunk)
            except BaseException:
                await finish(self.__aexit__())
                raise
            return self._copy

    async def __aexit__(self, *exc: object) -> None:
        copy, self._copy = self._copy, None
        if copy is not None:
            await THREADS.run(copy.unlink, missing_ok=True)

    def __enter__(self) -> Path:
        refuse_in_loop("`with file.as_path()`")
        return run_blocking(self.__aenter__())

    def __exit__(self, *exc: object) -> None:
        run_blocking(self.__aexit__())
