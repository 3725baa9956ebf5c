"""What a local folder needs beyond obstore: no way out of it through symlinks, and a check that it can be written."""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fastapi_filestore.errors import (
    BucketNotFoundError,
    ObjectNotFoundError,
    StoragePermissionError,
)


@dataclass(frozen=True, slots=True)
class LocalFolder:
    """The folder of a local backend."""

    backend: str
    root: Path

    async def check_inside(self, path: str, *, parent: bool = False) -> None:
        """Raise `ObjectNotFoundError` if symlinks lead an object, or the folder it is in, out of the root."""
        target = self.root / path
        if not await asyncio.to_thread(self._is_inside, target.parent if parent else target):
            raise ObjectNotFoundError(
                f"Backend {self.backend!r} has no object {path!a}: a link there leads out of its folder.",
                backend=self.backend,
                key=path,
            )

    async def inside(self, paths: Sequence[str]) -> list[str]:
        """Return those of the paths whose folder no symlink leads out of the root."""
        return await asyncio.to_thread(lambda: [path for path in paths if self._is_inside((self.root / path).parent)])

    def _is_inside(self, target: Path) -> bool:
        return Path(os.path.realpath(target)).is_relative_to(os.path.realpath(self.root))

    async def probe(self) -> None:
        """Raise if the folder is missing or can't be written."""
        if not await asyncio.to_thread(self.root.is_dir):
            raise BucketNotFoundError(
                f"The folder of backend {self.backend!r} does not exist: create it, or correct the URL.",
                backend=self.backend,
            )
        if not await asyncio.to_thread(os.access, self.root, os.R_OK | os.W_OK | os.X_OK):
            raise StoragePermissionError(
                f"The folder of backend {self.backend!r} can't be read and written by this process: change its owner "
                "or permissions.",
                backend=self.backend,
            )
