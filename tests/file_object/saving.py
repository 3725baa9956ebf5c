"""Files to be saved."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from fastapi_filestore import (
    FileObject,
    StorageRegistry,
)

BODY = b"some bytes"


def pending(registry: StorageRegistry, content: Any = BODY, **options: Any) -> FileObject:
    """A file whose bytes are still to be stored."""
    return FileObject("memory", "a.txt", content=content, registry=registry, **options)


async def chunks_of(*chunks: bytes) -> AsyncIterator[bytes]:
    """Chunks that come one by one."""
    for chunk in chunks:
        await asyncio.sleep(0)
        yield chunk
