"""Units of work, and the calls that belong to them: a call that waits while its unit ends does nothing any more.

Tasks of one block share its unit, as those of `asyncio.gather` do. When one of them fails, the block ends and is rolled
back, while the others are still storing bytes or waiting for the session. What they wrote then nobody would commit or
roll back, and the next unit of the same service is none of theirs.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from weakref import ref

from sqlalchemy.orm import Session
from sqlalchemy.orm.identity import IdentityMap

from fastapi_filestore.errors import UnitOfWorkEndedError


@dataclass(slots=True, eq=False)
class Unit:
    """A unit of work of one service; the one outside of all blocks, which has none, does not end by itself."""

    service: "ref[object] | None" = None
    has_ended: bool = False

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Make what is called in a block, and by tasks that it begins, a part of this unit; end it with the block."""
        around = _entered.get()
        _entered.set((*around, self))
        try:
            yield
        finally:
            _entered.set(around)
            self.has_ended = True


_entered: ContextVar[tuple[Unit, ...]] = ContextVar("fastapi_filestore_units", default=())
"""The units whose blocks this context is inside of; that of a task stays so when the block has ended."""


def unit_around(service: object) -> Unit | None:
    """Return the innermost unit of a service whose block the caller was begun in."""
    own = (unit for unit in reversed(_entered.get()) if unit.service is not None and unit.service() is service)
    return next(own, None)


@dataclass(slots=True)
class Part:
    """What a call is a part of, as of its beginning: `is_late` if the unit had ended by then.

    It `is_inside` if the unit's block has begun the caller. `rows` are those that the session knew at the beginning:
    one that is closed meanwhile has others.
    """

    unit: Unit
    model: str
    session: Session
    rows: IdentityMap
    is_late: bool
    is_inside: bool

    def refuse_late(self) -> None:
        """Raise `UnitOfWorkEndedError` if the unit had ended before the call began."""
        if self.is_late:
            raise UnitOfWorkEndedError(self.model)

    def refuse_ended(self) -> None:
        """Raise `UnitOfWorkEndedError` if the unit has ended since, or its session was closed."""
        was_closed = self.session.identity_map is not self.rows and not self.session.in_transaction()
        if was_closed or (self.unit.has_ended and not self.is_late):
            raise UnitOfWorkEndedError(self.model)
