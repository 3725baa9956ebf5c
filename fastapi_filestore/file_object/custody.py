"""Keep what others have to do with a file: its column, the ledger, and whoever stores it or deletes it."""

from dataclasses import dataclass, field
from typing import Any
from weakref import ref

from fastapi_filestore.concurrency.turns import Turn
from fastapi_filestore.intake.rules import NO_RULES, FileRules


@dataclass(slots=True, eq=False)
class Custody:
    """Keep what is known of a file in this process only: no pickle has it, and of a copy it begins anew.

    Attributes:
        fresh: Whether this object stored the bytes itself and no committed row points to them yet.
        is_held: Whether a row is known to hold it, unless it is fresh; not if a record of another process names it.
        is_listed: Whether it is one of a list, so that its id is shown.
        unit: Who deletes it if no row comes to hold it, weakly referenced: a session, or a call of a service.
        saving: The turn of whoever stores it.
        reserved_path: A generated path that a ledger knows of, for the upload that is under way.
        copied_from: The path of the object of its backend that it is to become a copy of.
        rules: Those of the column that it is in, or on its way to.
        checked_by: The rules that it was checked by.
        claim_ends: Whether the claim has ended, if it holds anything: one list of all copies.
    """

    fresh: bool = False
    is_held: bool = True
    is_listed: bool = False
    unit: ref[Any] | None = None
    saving: Turn | None = None
    reserved_path: str | None = None
    copied_from: str | None = None
    rules: FileRules = NO_RULES
    checked_by: FileRules | None = None
    _claim: object | None = None
    claim_ends: list[bool] = field(default_factory=list[bool])

    @property
    def claim(self) -> object | None:
        """The ledger that knows of a fresh object's path until a row holds it, whichever of its copies that is."""
        return None if self.claim_ends else self._claim

    @claim.setter
    def claim(self, claim: object | None) -> None:
        self._claim, self.claim_ends = claim, []

    def of_copy(self, *, is_stored: bool) -> "Custody":
        """Return the custody of a copy: the bytes go with the file that stored them, and so does its owner.

        A reserved path is good for one upload, and that of the copy is not under way.
        """
        claim, ends = (self._claim, self.claim_ends) if is_stored else (None, [])
        return Custody(
            is_held=self.is_held, rules=self.rules, checked_by=self.checked_by, _claim=claim, claim_ends=ends
        )
