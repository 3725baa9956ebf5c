"""Remember the digests of what has come of uploads, so that nothing is read again to know that of the whole.

Bytes of an upload never change once they are committed, whichever process brought them: a digest of its first bytes
stays one of them. It is remembered by the process that the bytes passed; where another one goes on, the whole is read.
"""

from collections import OrderedDict
from hashlib import sha256
from typing import Final

from fastapi_filestore.intake.digests import RunningDigest

MOST: Final = 10_000
"""Uploads that are remembered: those that got bytes last, at some hundred bytes each."""

_known = OrderedDict[str, tuple[int, RunningDigest]]()


def digest_up_to(identity: str, end: int) -> RunningDigest | None:
    """Return a SHA-256 of the bytes of an upload before `end`, to go on with; None if it is not known."""
    if end == 0:
        return sha256(usedforsecurity=False)
    known, digest = _known.get(identity, (0, None))
    return digest.copy() if digest is not None and known == end else None


def remember(identity: str, end: int, digest: RunningDigest) -> None:
    """Remember the SHA-256 of all committed bytes of an upload, of which there are `end`."""
    _known.pop(identity, None)
    _known[identity] = end, digest
    while len(_known) > MOST:
        _known.popitem(last=False)


def forget(identity: str) -> None:
    """Forget an upload, which will get no more bytes."""
    _known.pop(identity, None)
