"""A script: a unit of work that is registered by its name, and the steps that several share."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy.orm import Session

from tests.crash.application import Application
from tests.crash.models import Document, pending

FIRST_OBJECTS = 8
"""Objects of the rows that each script finds."""

Act = Callable[[Application], Coroutine[Any, Any, None]]


@dataclass(frozen=True)
class Script:
    """A unit of work, what happens before the first point, and what is special about it.

    Attributes:
        name: Its name.
        act: What is done.
        objects: How many objects the store holds when nothing went wrong; it begins with `FIRST_OBJECTS`.
        arrange: What is done before the first point.
        concurrent: It does several things at once, so that its points come in another order each time.
        in_parts: It uploads in parts, however short the content is.
        savepoints: It uses savepoints, which SQLite's driver gets wrong without SQLAlchemy's recipe.
        on_disk: What it has the disk do is a point, too, where objects are files.
        unledgered: It works where the ledger has no room: what it leaves behind, an audit finds.
    """

    name: str
    act: Act
    objects: int
    arrange: Act | None = None
    concurrent: bool = False
    in_parts: bool = False
    savepoints: bool = False
    on_disk: bool = False
    unledgered: bool = False


SCRIPTS: Final[dict[str, Script]] = {}


def script(
    change: int,
    *,
    arrange: Act | None = None,
    concurrent: bool = False,
    in_parts: bool = False,
    savepoints: bool = False,
    on_disk: bool = False,
    unledgered: bool = False,
) -> Callable[[Act], Act]:
    """Register a function as the script of its name; `change` is how many objects more it leaves in the end."""

    def register(act: Act) -> Act:
        objects = FIRST_OBJECTS + change
        special = (concurrent, in_parts, savepoints, on_disk, unledgered)
        SCRIPTS[act.__name__] = Script(act.__name__, act, objects, arrange, *special)
        return act

    return register


def unit(change: Callable[[Session], object]) -> Act:
    """Return the act of a unit of work that is one function of a session, committed."""

    async def act(application: Application) -> None:
        async with application.work() as work:
            await work.do(change)
            await work.commit()

    return act


def named(session: Session, title: str) -> Document:
    """Load a document."""
    return session.query(Document).filter_by(title=title).one()


async def together(*works: Awaitable[None]) -> None:
    """Do several things at once, all to their end."""
    results = await asyncio.gather(*works, return_exceptions=True)
    errors = [result for result in results if isinstance(result, BaseException)]
    if errors:
        raise errors[0]


def replace_file(session: Session) -> None:
    """Put another file in the first row's place."""
    named(session, "one").file = pending("replaced")


def change_much(session: Session, name: str) -> None:
    """Add a row, replace a file, delete a row."""
    session.add(Document(title=name, file=pending(name)))
    replace_file(session)
    session.delete(named(session, "two"))
    session.flush()
