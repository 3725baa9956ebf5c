"""Lists of files, edited in place and by assignment."""

from collections.abc import Callable

from sqlalchemy.orm import Session

from fastapi_filestore import FileObject
from tests.crash.application import Application
from tests.crash.models import pending
from tests.crash.scripts.script import Act, named, script, unit


def edit(change: Callable[[list[FileObject]], object]) -> Act:
    """Return the act of a unit of work that changes a list in place."""

    def edit_pages(session: Session) -> None:
        document = named(session, "one")
        assert document.pages is not None
        change(document.pages)

    return unit(edit_pages)


@script(1)
async def append_to_list(application: Application) -> None:
    """One page more."""
    await edit(lambda pages: pages.append(pending("appended")))(application)


@script(-1)
async def pop_from_list(application: Application) -> None:
    """One page less."""
    await edit(lambda pages: pages.pop(0))(application)


@script(0)
async def reorder_list(application: Application) -> None:
    """The same pages in another order, by taking one out and putting it back."""
    await edit(lambda pages: pages.append(pages.pop(0)))(application)


@script(0)
async def edit_list(application: Application) -> None:
    """Replace, keep, drop, and add pages by assignment."""

    def change(session: Session) -> None:
        document = named(session, "one")
        first, _, third = document.pages or []
        document.pages = [third, pending("new"), first]
        session.flush()
        document.pages[1] = pending("newer")

    await unit(change)(application)


@script(-3)
async def clear_list(application: Application) -> None:
    """No page any more."""
    await edit(lambda pages: pages.clear())(application)
