"""Stand still: a clock for tests of what expires."""

from dataclasses import dataclass


@dataclass(slots=True)
class FrozenClock:
    """A clock that stands still until it is told to go on, in seconds since the epoch: for `UrlSigner(clock=...)`."""

    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        """Return what it shows."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Go on by some seconds."""
        self.now += seconds
