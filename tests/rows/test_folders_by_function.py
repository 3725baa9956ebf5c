"""Functions that choose the folder of a row: what they may be, and what is said of their mistakes."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine, event, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import Mapped, mapped_column

from fastapi_filestore import (
    ConfigurationError,
    FileObject,
    FileService,
    InvalidKeyError,
    ObstoreBackend,
    OutOfScopeError,
    StoredObject,
)
from fastapi_filestore.orm.ledger import reservations
from fastapi_filestore.orm.ledger.reservations import release_reservations
from fastapi_filestore.storage.paths import is_generated
from fastapi_filestore.storage.prefixes import check_prefix, choose_prefix
from tests.rows.conftest import Work
from tests.rows.invoices import LEDGER, Base, Invoice, add, engine, in_folder, keys, of_tenant, pending, work

__all__ = ["engine", "work"]


class Chosen(Base):
    """A row with values that others make, and a folder of its own."""

    __tablename__ = "chosen"

    id: Mapped[int] = mapped_column(primary_key=True)
    tenant: Mapped[str | None]
    region: Mapped[str] = mapped_column(default="eu")
    token: Mapped[str] = mapped_column(default=lambda: uuid4().hex)
    file: Mapped[FileObject | None] = mapped_column(StoredObject("rows", prefix=of_tenant))


@pytest.mark.parametrize("prefix", ["../", "a/../b", "/a", "/", "a//b/", "./", "a\x00", ".filestore-uploads/", 7, None])
def test_a_folder_that_is_none_is_refused_at_once(prefix: Any) -> None:
    """A column whose folder no store could hold can't be described."""
    with pytest.raises(ConfigurationError, match=r"StoredObject\(prefix="):
        StoredObject(prefix=prefix)


class Called:
    """What can be called, and is no function."""

    async def __call__(self, row: Mapping[str, Any]) -> str:
        """Return a folder too late."""
        return ""


def takes_two(model: object, row: Mapping[str, Any]) -> str:
    """Return a folder by what nobody gives."""
    return ""


def takes_a_keyword(*, row: Mapping[str, Any]) -> str:
    """Return a folder by what is given otherwise."""
    return ""


async def awaited(row: Mapping[str, Any]) -> str:
    """Return a folder too late."""
    return ""


@pytest.mark.parametrize(
    ("prefix", "right"),
    [
        ("tenants/{tenant}/", "a text is taken as it stands"),
        ("tenants/%(tenant)s/", "a text is taken as it stands"),
        ("scans/%Y/%m/", "a text is taken as it stands"),
        (awaited, "awaited): a call of it returns no text"),
        (Called(), "a call of it returns no text"),
        (str, "a call of it returns no text"),
        (lambda: "a/", "called with one argument"),
        (takes_two, "called with one argument"),
        (takes_a_keyword, "called with one argument"),
    ],
)
def test_what_could_choose_no_folder_is_refused_at_once(prefix: Any, right: str) -> None:
    """A text that is meant to be filled in, and a function that can't be called, are refused with what to write."""
    with pytest.raises(ConfigurationError) as raised:
        StoredObject(prefix=prefix)

    assert "StoredObject(prefix=" in str(raised.value)
    assert right in str(raised.value)
    assert "prefix=lambda row: f\"tenants/{row['tenant']}/\"" in str(raised.value)


@pytest.mark.parametrize("prefix", [of_tenant, "tenants/{tenant}/".format_map, "tenants/{0[tenant]}/".format])
def test_functions_of_every_kind(prefix: Any) -> None:
    """Methods of text that read the row by its names are functions like others."""
    assert choose_prefix(check_prefix(prefix), {"tenant": "acme"}) == "tenants/acme/"  # type: ignore[arg-type]


def changed(row: Any) -> str:
    """Change the row."""
    row["tenant"] = "a"
    return "a/"


MISTAKEN: dict[str, tuple[Callable[[Any], Any], str]] = {
    "nothing": (lambda row: None, "returned None"),
    "a number": (lambda row: 7, "returned 7"),
    "something later": (partial(awaited), "returned something to be awaited"),
    "a text not filled in": (lambda row: "tenants/{row['tenant']}/", "returned \"tenants/{row['tenant']}/\""),
    "the row itself": ("tenants/{}/".format, "failed with TypeError: the row itself is no name"),
    "an attribute": (
        lambda row: f"tenants/{row.tenant}/",
        "failed with AttributeError: 'Row' object has no",
    ),
    "an attribute in a format": ("{0.tenant}/".format, "failed with AttributeError"),
    "a change": (changed, "failed with TypeError: 'Row' object does not support item assignment"),
    "a mistake": (lambda row: row["region"] / 0, "failed with TypeError"),
    "not known": (lambda row: f"tenants/{row['tenant']}/", "asks for 'tenant' of the row, which is not known when"),
    "None": (lambda row: f"tenants/{row.get('tenant')}/", "asks for 'tenant' of the row, which is not known when"),
    "misspelt": (lambda row: row["tenannt"], "no attribute of that name: write row['tenant']."),
    "no name": (lambda row: row["xyz"], "no attribute of that name: it has id, tenant"),
    "made by its column": (lambda row: f"{row['token']}/", "asks for 'token' of the row, which is made as the row"),
    "made by the database": (lambda row: f"{row['id']}/", "asks for 'id' of the row, which is made as the row"),
}


@pytest.mark.parametrize("case", MISTAKEN)
@pytest.mark.parametrize("way", ["row", "insert", "service"])
async def test_a_function_that_is_mistaken_is_told(
    work: Work, case: str, way: str, backend: ObstoreBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever goes wrong in it is told with the class, the attribute and the function, and nothing is stored."""
    prefix, right = MISTAKEN[case]
    column: Any = Chosen.__table__.c.file.type
    monkeypatch.setattr(column, "folder", prefix)

    async def write() -> None:
        if way == "service":
            await FileService(work.session, model=Chosen).create({"file": pending()})
        elif way == "insert":
            await work.execute(insert(Chosen).values(file=pending()))
        else:
            await work.add(Chosen(file=pending()))
            await work.commit()

    with pytest.raises(ConfigurationError) as raised:
        await write()
    await work.rollback()

    assert str(raised.value).startswith("Chosen.file: StoredObject(prefix=")
    assert right in str(raised.value)
    assert await keys(backend) == []


async def test_a_folder_that_is_none_names_its_column(work: Work) -> None:
    """What a function makes of a row's values is told with the class and the attribute."""
    with pytest.raises(
        InvalidKeyError, match=r"^Invoice.letter: StoredObject\(prefix=of_tenant\) returned no folder: "
    ):
        await add(work, tenant="..", letter=pending())
    await work.rollback()


def test_a_function_may_refuse_a_row() -> None:
    """An error of the library that a function raises is its own."""

    def refuse(row: Mapping[str, Any]) -> str:
        raise OutOfScopeError("Invoice")

    with pytest.raises(OutOfScopeError):
        choose_prefix(refuse, {})


def test_a_default_of_ones_own() -> None:
    """What a function has a default for need not be known."""
    assert choose_prefix(lambda row: f"{row.get('tenant', 'shared')}/{row.get('x') or 'y'}/", {}) == "shared/y/"


def test_a_generated_path_is_told_in_any_folder() -> None:
    """The form of a generated path counts, in whichever folder, and not a part of a name that looks like it."""
    token = f"ab/ab{'0' * 30}"
    assert is_generated(token)
    assert is_generated(f"invoices/2026/{token}")
    assert not is_generated(f"invoices{token}")
    assert not is_generated(f"{token}/more")


async def test_folders_without_end_take_bounded_memory(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a process remembers of folders has a limit, however many tenants there are, and all of them can store."""
    monkeypatch.setattr(reservations, "MOST_FOLDERS", 3)
    for number in range(8):
        await add(work, tenant=str(number), letter=pending())
        await work.rollback()

    assert len(reservations._reservations) <= 3  # noqa: SLF001 - nothing else tells
    rows = await work.do(lambda session: session.execute(select(Invoice.tenant, Invoice.letter)).all())
    assert all(letter and in_folder(f"tenants/{tenant}/", letter.path) for tenant, letter in rows)


async def test_unused_paths_of_all_folders_are_given_back(work: Work, engine: Engine | AsyncEngine) -> None:
    """At its end an application gives back what it reserved in however many folders, in one transaction."""
    for number in range(12):
        await add(work, tenant=str(number % 3), letter=pending())
        await work.rollback()
    assert await work.scalars(select(LEDGER.table.c.path))
    await work.rollback()
    plain, begun = engine.sync_engine if isinstance(engine, AsyncEngine) else engine, list[object]()
    event.listen(plain, "begin", begun.append)
    await release_reservations()

    assert len(begun) == 1
    assert await work.scalars(select(LEDGER.table.c.path)) == []
