"""Check a file against the rules of its route and its column: before, while and after it is stored."""

from fastapi_filestore.errors import UploadTooLargeError
from fastapi_filestore.intake.digests import DigestingStream
from fastapi_filestore.intake.rules import FileRules
from fastapi_filestore.intake.types.media_types import is_unspecific, likely_type
from fastapi_filestore.intake.types.sniffing import sniff
from fastapi_filestore.intake.upload import Upload
from fastapi_filestore.intake.validators import HEAD_BYTES, Candidate
from fastapi_filestore.storage.backend import ObjectInfo


async def check_stream(
    rules: FileRules, stream: Upload | DigestingStream, size: int | None, filename: str, content_type: str
) -> str:
    """Check what is known of content before any of it is stored, and return the type that it has.

    Raises:
        UploadError: Its size, its types or its first bytes are not what the rules ask for.
    """
    if isinstance(stream, Upload):
        await stream.examine()  # for its own rules
        if is_unspecific(content_type):
            content_type = stream.known_type
    elif size is not None:
        rules.check_size(size)
    if rules.is_empty:
        return content_type
    head = await stream.peek(HEAD_BYTES) if rules.validators else None
    return await check_head(rules, head, filename=filename, content_type=content_type)


async def check_head(rules: FileRules, head: bytes | None, *, filename: str, content_type: str) -> str:
    """Check the first bytes of a file, or without them what is declared, and return the type that it has.

    Raises:
        UploadError: They are not what the rules ask for.
    """
    sniffed = None if head is None else sniff(head)
    candidate = Candidate(filename, content_type, sniffed, likely_type(content_type, filename, sniffed))
    if head is None:
        rules.check_declared(candidate)
        return content_type
    await rules.check_head(head, candidate)
    return candidate.known_type


async def check_upload(
    rules: FileRules, info: ObjectInfo, *, limits: tuple[int | None, ...], filename: str, content_type: str
) -> None:
    """Check what a store says of an object that a client stored by itself: its size, and its type.

    Raises:
        UploadError: It is larger than the least of the limits, or its type is not one that the rules ask for.
    """
    limit = min((size for size in (rules.max_size, *limits) if size is not None), default=None)
    if limit is not None and info.size > limit:
        raise UploadTooLargeError("file", limit=limit, actual=info.size)
    # A client that holds a store's own URL may have sent another type than it was signed for.
    if not is_unspecific(info.content_type):
        await check_head(rules, None, filename=filename, content_type=info.content_type or content_type)


async def check_object(file: object, *rules: FileRules) -> None:
    """Let the validators of the stored object judge a file, one after the other.

    Raises:
        UploadError: One of them refuses it.
    """
    for its_rules in rules:
        for validator in its_rules.object_validators:
            await validator.validate_object(file)
