"""A clock that stands still."""

from fastapi_filestore.storage.signing import UrlSigner
from fastapi_filestore.testing import FrozenClock


def test_it_stands_still() -> None:
    """It shows the same moment until it is told to go on."""
    clock = FrozenClock(now=100)
    first, second = clock(), clock()
    clock.advance(2.5)

    assert (first, second, clock()) == (100, 100, 102.5)


def test_it_is_a_clock_for_signing() -> None:
    """A signer takes it as its clock."""
    clock = FrozenClock()
    signer = UrlSigner(["a-signing-key-that-is-long-enough-for-all"], base_url="/", clock=clock)
    expires_at = signer.sign("local", "a", method="GET", expires_in=60).expires_at

    assert expires_at.timestamp() == clock.now + 60
