"""Whether a file is what its column, and the route that it came by, ask for: before, while and after it is stored."""

from contextlib import suppress
from typing import TYPE_CHECKING

from fastapi_filestore.concurrency.shielded import finish
from fastapi_filestore.errors import FilestoreError, UploadTooLargeError
from fastapi_filestore.file_object.validators import validate_object
from fastapi_filestore.intake.digests import DigestingStream
from fastapi_filestore.intake.rules import NO_RULES, FileRules
from fastapi_filestore.intake.types.media_types import likely_type, says_nothing
from fastapi_filestore.intake.types.sniffing import sniff
from fastapi_filestore.intake.upload import Upload
from fastapi_filestore.intake.validators import HEAD_BYTES, Candidate
from fastapi_filestore.storage.backend import ObjectInfo

if TYPE_CHECKING:
    from fastapi_filestore.file_object.value import FileObject


async def admit_head(file: "FileObject", stream: Upload | DigestingStream, size: int | None) -> None:
    """Let the rules judge what is known before anything is stored: the size, the types, the first bytes."""
    rules = file.rules
    if isinstance(stream, Upload):
        await stream.examine()  # for its own rules
        if says_nothing(file.content_type):
            file.content_type = stream.known_type
    elif size is not None:
        rules.check_size(size)
    if rules.judges_heads:
        await _judge_head(file, await stream.peek(HEAD_BYTES))
    else:
        rules.check_declared(_candidate(file, None))


async def _judge_head(file: "FileObject", head: bytes) -> None:
    candidate = _candidate(file, sniff(head))
    await file.rules.check_head(head, candidate)
    file.content_type = candidate.known_type


def _candidate(file: "FileObject", sniffed: str | None, declared: str | None = None) -> Candidate:
    declared = declared or file.content_type
    return Candidate(file.filename, declared, sniffed, likely_type(declared, file.filename, sniffed))


async def admit_object(file: "FileObject", stream: Upload | DigestingStream) -> None:
    """Let the rules judge bytes that were just stored, and delete these if they are refused."""
    try:
        for rules in (_own_rules(stream), file.rules):
            await validate_object(file, rules)
    except BaseException:
        with suppress(FilestoreError):
            await finish(file.delete_async())
        file.undo()
        raise
    file.admit(file.rules)


def _own_rules(stream: Upload | DigestingStream) -> FileRules:
    return stream.rules if isinstance(stream, Upload) else NO_RULES


def admit_upload(file: "FileObject", info: ObjectInfo) -> None:
    """Let the rules judge what a store says of an object that a client stored by itself: its size, and its type."""
    limits = (file.rules.max_size, file.upload_limit, file.registry.max_upload_size)
    limit = min((each for each in limits if each is not None), default=None)
    if limit is not None and info.size > limit:
        raise UploadTooLargeError("file", limit=limit, actual=info.size)
    # A client that holds a store's own URL may have sent another type than it was signed for.
    if not says_nothing(info.content_type):
        file.rules.check_declared(_candidate(file, None, info.content_type))


async def admit_stored(file: "FileObject") -> None:
    """Let the rules judge a file that was stored before it came to its column; whoever stored it deletes it."""
    rules, info = file.rules, await file.head_async()
    rules.check_size(info.size)
    if rules.judges_heads:
        await _judge_head(file, await _stored_head(file, info.size))
    else:
        rules.check_declared(_candidate(file, None))
    await validate_object(file, rules)
    file.admit(rules)


async def _stored_head(file: "FileObject", size: int) -> bytes:
    # A store has no range of an empty object.
    return await (await file.open_async(end=HEAD_BYTES)).read() if size else b""
