"""Ask a store for what it says of itself: its clock, its bucket's region, and its rules for unfinished uploads."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from fastapi_filestore.errors import ConfigurationError, StoragePermissionError, StorageUnavailableError
from fastapi_filestore.service.check.checked import reason_of, unknown, weak, wrong
from fastapi_filestore.storage.backend import Answer, AskableStore, StorageBackend

MOST_SKEW = 60.0
"""Seconds that clocks may differ: stores refuse signatures from 15 minutes on, and URLs live shorter or longer."""
REGION = "x-amz-bucket-region"
LOCAL = "no server, no other clock"


async def compare_clocks(backend: StorageBackend) -> str:
    """Hold the clock of a store against this machine's."""
    before = datetime.now(UTC)
    answer = await _answer(_askable(backend))
    if answer is None:
        return LOCAL
    try:
        theirs = parsedate_to_datetime(answer.headers["date"])
    except (KeyError, ValueError):
        raise unknown("The store does not tell its time.") from None
    now = datetime.now(UTC)
    # A header has whole seconds, and was written between the two moments.
    early, late = (before - theirs).total_seconds() - 1, (now - theirs).total_seconds()
    skew = 0.0 if early <= 0 <= late else min(early, late, key=abs)
    if abs(skew) > MOST_SKEW:
        direction = "ahead of" if skew > 0 else "behind"
        raise wrong(
            f"This machine's clock is {abs(skew):,.0f} s {direction} the store's: signed URLs live that much longer or "
            "shorter, and from 15 minutes on the store refuses every request. Have the clock set (NTP)."
        )
    return f"{abs(skew):.0f} s apart"


async def compare_regions(backend: StorageBackend) -> str:
    """Hold the region that requests are signed for against the bucket's."""
    store = _askable(backend)
    if store.region is None:
        return "not asked for: such a store has none"
    answer = await _answer(store)
    named = None if answer is None else answer.headers.get(REGION)
    if named is None:
        raise unknown(f"The store does not tell the region of its bucket; requests are signed for {store.region}.")
    if named != store.region:
        raise wrong(f"The bucket is in {named}, and requests are signed for {store.region}: set AWS_REGION={named}.")
    return named


async def ask_for_rule(backend: StorageBackend) -> str:
    """Find out whether the parts of uploads that never ended go by themselves."""
    store = _askable(backend)
    try:
        drops = await store.drops_unfinished()
    except ConfigurationError:
        raise unknown('It can\'t be asked without boto3: pip install "fastapi-filestore[aws]".') from None
    except (StoragePermissionError, StorageUnavailableError) as error:
        raise unknown(str(error)) from None
    if drops:
        return "they go by themselves"
    if await store.ask() is None:
        return "an audit finds them (filestore audit --fix unfinished_upload)"
    raise weak(
        "No lifecycle rule of the bucket drops unfinished multipart uploads, whose parts are kept, and paid for, until "
        "somebody does: add one (AbortIncompleteMultipartUpload after 7 days), or run filestore audit "
        "--fix unfinished_upload now and then."
    )


def _askable(backend: StorageBackend) -> AskableStore:
    if not isinstance(backend, AskableStore):
        raise unknown("The backend has no way to be asked for it (AskableStore).")
    return backend


async def _answer(store: AskableStore) -> Answer | None:
    try:
        return await store.ask()
    except OSError as error:
        raise unknown(f"The store's server can't be asked as a stranger would ({reason_of(error)}).") from None
