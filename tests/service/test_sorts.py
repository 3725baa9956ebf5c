"""`FileService.list(sort=…)`: pages by columns that are asked for, the same on SQLite and PostgreSQL."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import event

from fastapi_filestore import ConfigurationError, FileService, InvalidCursorError, InvalidFieldsError
from tests.service.engines import engine_of
from tests.web.models import Document, Measurement
from tests.web.site import Site

MOMENT = datetime(2026, 5, 17, 12, tzinfo=UTC)
ROWS: list[dict[str, Any]] = [
    {"signed": number % 3 == 0, "pages": pages, "day": day and date(2026, 1, day), "changed_at": changed}
    for number, (pages, day, changed) in enumerate(
        [
            (None, 2, MOMENT),
            (3, None, None),
            (1, 2, MOMENT + timedelta(microseconds=1)),
            (None, None, MOMENT),
            (3, 1, None),
            (1, None, MOMENT - timedelta(days=1)),
            (None, 2, None),
        ]
    )
]


class Sorted(FileService[Document]):
    """Documents that may be sorted."""

    sortable = ("title", "signed", "pages", "day", "changed_at", "id")


def as_python_sorts(sort: str) -> list[int]:
    """Return the numbers of the rows in order: those without a value last, and by primary key as the last column."""
    terms = sort.split(",")
    found = list(range(len(ROWS)))
    if terms[-1].startswith("-"):
        found.reverse()
    for term in reversed(terms):
        name = term.removeprefix("-")
        have = [number for number in found if ROWS[number][name] is not None]
        have.sort(key=lambda number, name=name: ROWS[number][name], reverse=term.startswith("-"))  # type: ignore[misc]
        found = have + [number for number in found if ROWS[number][name] is None]
    return found


async def fill(service: Sorted) -> None:
    """Write the rows."""
    async with service.unit_of_work():
        for number, values in enumerate(ROWS):
            await service.create({"title": f"t{number}", **values})


async def walk(service: Sorted, sort: str | Sequence[str] | None, limit: int) -> list[int]:
    """Read all pages, and return the numbers of the rows."""
    found, after = list[int](), None
    for _ in range(len(ROWS) + 1):
        page = await service.list(limit=limit, after=after, sort=sort)
        found += [int(row.title.removeprefix("t")) for row in page.items]
        after = page.next_cursor
        if after is None:
            return found
    raise AssertionError("there are more pages than rows")


SORTS = [
    f"{first}{names[0]},{second}{names[1]}"
    for names in [("signed", "pages"), ("pages", "day"), ("day", "changed_at"), ("changed_at", "signed")]
    for first in ("", "-")
    for second in ("", "-")
]


async def test_pages_are_whole_in_every_sort(place: Site) -> None:
    """Each row is on one page, in order, whichever way the columns go, and those without a value come last."""
    async with place.session() as session:
        await fill(service := Sorted(session))
        for sort in ("pages", "-pages", "-changed_at", "signed", *SORTS, "day,-pages,signed"):
            assert await walk(service, sort, 1) == as_python_sorts(sort), sort
            assert await walk(service, sort, 3) == as_python_sorts(sort), sort


async def test_a_sort_is_a_text_or_a_list(place: Site) -> None:
    """A list of columns, blanks and empty places mean what the text means; nothing means the service's own order."""
    async with place.session() as session:
        await fill(service := Sorted(session))
        service.order_by = "-pages,title"
        sorts: list[Sequence[str]] = ["-pages,title", " -pages , title,", ["-pages", "title"], ["-pages,title"]]
        nothing: list[str | None] = [None, "", ","]

        assert [await walk(service, sort, 2) for sort in sorts] == [[1, 4, 2, 5, 0, 3, 6]] * 4
        assert [await walk(service, sort, 2) for sort in nothing] == [[1, 4, 2, 5, 0, 3, 6]] * 3


KINDS: dict[str, list[Any]] = {
    "number": [Decimal("-Infinity"), Decimal("0.1"), Decimal(2), None, None],
    "lasted": [timedelta(0), timedelta(seconds=1), timedelta(days=1), None, None],
    "plain": [-1.5, 0.0, 1e3, None, None],
    "many": [-(2**40), 0, 2**40, None, None],
    "label": ["", "a", "b", None, None],
}
"""Values of columns that may be NULL, in order."""


@pytest.mark.parametrize("name", KINDS)
async def test_values_of_every_kind_may_be_missing(place: Site, name: str) -> None:
    """A cursor leads on from values of each kind, and from none, whichever way the column goes."""
    async with place.session() as session:
        service = FileService(session, model=Measurement)
        service.sortable = [name]
        async with service.unit_of_work():
            for value in KINDS[name]:
                await service.create({name: value})
        orders = []
        for sort in (name, f"-{name}"):
            found, after = list[Any](), None
            while not found or after:
                page = await service.list(limit=1, after=after, sort=sort)
                found, after = found + [getattr(row, name) for row in page.items], page.next_cursor
            orders.append(found)

    assert orders == [KINDS[name], [*reversed(KINDS[name][:3]), None, None]]


async def test_a_cursor_is_of_its_sort(place: Site) -> None:
    """A cursor leads on in the sort that it was made with, and in no other one."""
    async with place.session() as session:
        await fill(service := Sorted(session))
        service.order_by = "title"
        sorts = [None, "title", "-title", "title,id", "pages", "pages,title", "day"]
        cursors = {sort: (await service.list(limit=1, sort=sort)).next_cursor for sort in sorts}
        for sort in sorts:
            for other in sorts:
                if sort != other:
                    with pytest.raises(InvalidCursorError):
                        await service.list(sort=sort, after=cursors[other])


@pytest.mark.parametrize(
    ("sort", "words"),
    [
        ("titel", "Sort by title, signed, pages, day, changed_at, id, .* not by 'titel'"),
        ("title,token", "not by 'token'"),
        ("--title", "not by '-title'"),
        ("title,-title", "once"),
        ("Title", "not by 'Title'"),
        ("title;pages", "not by"),
        ("secret" * 999, "not by 's"),
        (["title", "\0"], "not by"),
    ],
)
async def test_other_columns_are_refused(place: Site, sort: str, words: str) -> None:
    """A column that is not named by the service is refused, and those that are there are told."""
    async with place.session() as session:
        with pytest.raises(InvalidFieldsError, match=words) as raised:
            await Sorted(session).list(sort=sort)

    assert len(str(raised.value)) < 200


async def test_a_service_that_names_no_columns(place: Site) -> None:
    """Code that sorts such a service is told where they are named."""
    async with place.session() as session:
        with pytest.raises(ConfigurationError, match="sortable="):
            await FileService(session, model=Document).list(sort="title")


async def test_the_scope_is_kept(place: Site) -> None:
    """A sort, and a cursor of somebody else's in it, show no row outside of the scope."""
    async with place.session() as session:
        await fill(everything := Sorted(session))
        cursor = (await everything.list(limit=1, sort="pages")).next_cursor
        page = await Sorted(session, scope=Document.signed.is_(True)).list(sort="pages", after=cursor)

    assert [row.title for row in page.items] == ["t0", "t3", "t6"]


async def test_a_page_begins_where_an_index_does(place: Site) -> None:
    """The first column of a sort, if it is never NULL, bounds the page by itself, so that its index leads there."""
    asked: list[str] = []

    def note(*call: Any) -> None:
        asked.append(call[2])

    async with place.session() as session:
        await fill(service := Sorted(session))
        cursor = (await service.list(limit=1, sort="title")).next_cursor
        event.listen(engine_of(place), "before_cursor_execute", note)
        await service.list(sort="title", after=cursor)
        event.remove(engine_of(place), "before_cursor_execute", note)

    assert "documents.title >= " in asked[-1]
