"""Refuse chunks: parts of a file that a client's uploader sends one by one, each in a form of its own."""

from collections.abc import Mapping

from fastapi_filestore.errors import MalformedUploadError

CHUNK_COUNTS: Mapping[str, str] = {
    "chunks": "set Plupload's option `chunk_size` to 0",
    "dztotalchunkcount": "set Dropzone's option `chunking` to false",
    "flowTotalChunks": "set Flow.js' option `chunkSize` to the largest file that there may be",
    "qqtotalparts": "set Fine Uploader's option `chunking.enabled` to false",
    "resumableTotalChunks": "set Resumable.js' option `chunkSize` to the largest file that there may be",
}
"""The fields in which uploaders say how many chunks a file has, and how to have it sent as one."""

REMEDY = "turn off the chunks of the uploader: FilePond's `chunkUploads`, jQuery File Upload's `maxChunkSize`"
"""For those that say it in a header."""


def refuse_chunk(name: str, value: str) -> None:
    """Raise `MalformedUploadError` for one of these fields if it says that a file is one chunk of several."""
    if value.isdecimal() and value.lstrip("0") not in {"", "1"}:
        raise chunk_error(CHUNK_COUNTS[name])


def chunk_error(remedy: str) -> MalformedUploadError:
    """Return the error of a form whose file is not a whole one."""
    return MalformedUploadError(f"This is a part of a file, and files are stored whole: {remedy}, and send it again.")
