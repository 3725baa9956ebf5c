"""A stored file as a response: streamed, never whole in memory."""

from fastapi import Response
from fastapi.responses import StreamingResponse

from fastapi_filestore.file_object import FileObject
from fastapi_filestore.web.headers import file_headers


async def download(file: FileObject) -> Response:
    """Return the response to GET: the file as the store streams it."""
    stream = await file.open_async()
    return StreamingResponse(stream, headers=file_headers(file) | {"Content-Length": str(stream.info.size)})


async def download_head(file: FileObject) -> Response:
    """Return the response to HEAD: what GET would say, so the store is asked, too."""
    info = await file.head_async()
    return Response(headers=file_headers(file) | {"Content-Length": str(info.size)})
