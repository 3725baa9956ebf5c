"""Savepoints that are rolled back."""

from collections.abc import Callable
from contextlib import suppress

from sqlalchemy.orm import Session


class GivenUpError(Exception):
    """What ends a savepoint in these tests."""


def give_up(session: Session, change: Callable[[Session], object]) -> None:
    """Change something in a savepoint, write it, and roll the savepoint back."""
    with suppress(GivenUpError), session.begin_nested():
        change(session)
        session.flush()
        raise GivenUpError
