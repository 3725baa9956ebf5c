"""A store, used once."""

from fastapi_filestore import FileObject


async def stores_and_reads(key: str) -> bool:
    """Store a file in a registered backend, read it, and delete it."""
    file_obj = FileObject(backend=key, filename="a.txt", content=b"through the reference")
    await file_obj.save_async()
    content = await file_obj.get_content_async()
    await file_obj.delete_async()
    return content == b"through the reference"
