"""Raise what only local folders fail with: errors that never leave the seam."""

from errno import ELOOP
from typing import Self


class SyncError(OSError):
    """A disk did not confirm what was written to it.

    To ask it again is no use: the kernel has dropped what it could not write, and would say that all is well.
    """


class LeadsOutsideError(OSError):
    """A link below a root leads out of it."""

    def __init__(self, below: str) -> None:
        super().__init__(ELOOP, "A link leads out of the folder", below)

    def __reduce__(self) -> tuple[type[Self], tuple[str]]:
        return type(self), (str(self.filename),)
