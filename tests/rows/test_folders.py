"""`StoredObject(prefix=)`: the folder in which new files of a column get their paths."""

import re
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine, create_engine, event, insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from fastapi_filestore import (
    ConfigurationError,
    FileObject,
    FileService,
    InvalidKeyError,
    ObstoreBackend,
    OutOfScopeError,
    StoredObject,
    add_ledger,
    audit,
    sweep,
)
from fastapi_filestore.orm.ledger import reservations
from fastapi_filestore.orm.ledger.reservations import release_reservations
from fastapi_filestore.orm.sessions import run_on_engine
from fastapi_filestore.storage.paths import check_prefix, choose_prefix, is_generated
from tests.rows.conftest import Work

GENERATED = "([0-9a-f]{2})/\\1[0-9a-f]{30}"


def of_tenant(row: Mapping[str, Any]) -> str:
    """Choose the folder of a row's tenant."""
    return f"tenants/{row['tenant']}/"


class Base(DeclarativeBase):
    """The suite's own tables, so that its ledger is its own."""


LEDGER = add_ledger(Base.metadata)


class Invoice(Base):
    """A row with a file in a folder of its column, and others in a folder of its tenant."""

    __tablename__ = "invoices"

    id: Mapped[int] = mapped_column(primary_key=True)
    tenant: Mapped[str | None]
    region: Mapped[str] = mapped_column(default="eu")
    scan: Mapped[FileObject | None] = mapped_column(StoredObject("rows", prefix="invoices/"))
    letter: Mapped[FileObject | None] = mapped_column(StoredObject("rows", prefix=of_tenant))
    pages: Mapped[list[FileObject] | None] = mapped_column(StoredObject("rows", multiple=True, prefix=of_tenant))
    note: Mapped[FileObject | None] = mapped_column(StoredObject("rows", prefix=lambda row: row["region"]))


class Chosen(Base):
    """A row with values that others make, and a folder of its own."""

    __tablename__ = "chosen"

    id: Mapped[int] = mapped_column(primary_key=True)
    tenant: Mapped[str | None]
    region: Mapped[str] = mapped_column(default="eu")
    token: Mapped[str] = mapped_column(default=lambda: uuid4().hex)
    file: Mapped[FileObject | None] = mapped_column(StoredObject("rows", prefix=of_tenant))


@pytest.fixture(params=["sync", "async"])
async def engine(request: pytest.FixtureRequest, tmp_path: Path, backend: ObstoreBackend) -> AsyncIterator[Any]:
    """Give an engine whose database has the tables."""
    engine: Engine | AsyncEngine
    if request.param == "sync":
        engine = create_engine(f"sqlite:///{tmp_path / 'rows.db'}")
    else:
        engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'rows.db'}")
    plain = engine.sync_engine if isinstance(engine, AsyncEngine) else engine
    await run_on_engine(plain, Base.metadata.create_all)
    yield engine
    await release_reservations()
    if isinstance(engine, AsyncEngine):
        await engine.dispose()
    else:
        engine.dispose()


@pytest.fixture
async def work(engine: Engine | AsyncEngine) -> AsyncIterator[Work]:
    """Give a session of either kind."""
    make: Any = AsyncSession if isinstance(engine, AsyncEngine) else Session
    work = Work(make(engine, expire_on_commit=False))
    yield work
    await work.close()


def pending(content: bytes = b"content") -> FileObject:
    """Return a file whose bytes are still to be stored."""
    return FileObject(filename="a.txt", content=content)


async def keys(backend: ObstoreBackend) -> list[str]:
    """Return the keys of the objects in the store."""
    return sorted([info.path async for info in backend.list()])


async def add(work: Work, **values: Any) -> Invoice:
    """Commit a row."""
    row = Invoice(**values)
    await work.add(row)
    await work.commit()
    return await work.get(Invoice, row.id, populate_existing=True)


def in_folder(folder: str, key: object) -> bool:
    """Tell whether a key is a generated one in a folder."""
    return re.fullmatch(re.escape(folder) + GENERATED, str(key)) is not None


async def test_a_column_has_a_folder_of_its_own(work: Work, backend: ObstoreBackend) -> None:
    """A file that a row is given gets its path in the folder of its column, and is read from there."""
    row = await add(work, scan=pending())

    assert row.scan is not None
    assert in_folder("invoices/", row.scan.path)
    assert await keys(backend) == [row.scan.path]
    assert await row.scan.get_content_async() == b"content"


async def test_a_row_chooses_the_folder(work: Work) -> None:
    """A function of the row's values chooses the folder, of lists as well."""
    row = await add(work, tenant="acme", letter=pending(), pages=[pending(b"1"), pending(b"2")])

    assert row.letter is not None
    assert row.pages is not None
    assert all(in_folder("tenants/acme/", file.path) for file in [row.letter, *row.pages])


async def test_defaults_of_columns_are_known(work: Work) -> None:
    """What the row gets as the default of a column is known before it is written."""
    row = await add(work, note=pending())

    assert row.note is not None
    assert in_folder("eu/", row.note.path)


async def test_a_row_of_the_database_chooses_by_what_it_has_there(work: Work) -> None:
    """A row whose attributes are expired is asked what the database says of it."""
    row = await add(work, tenant="acme")
    await work.do(lambda session: session.expire(row))
    await work.do(lambda session: setattr(row, "letter", pending()))
    await work.commit()

    letter = await work.do(lambda session: row.letter)
    assert letter is not None
    assert in_folder("tenants/acme/", letter.path)


@pytest.mark.parametrize("tenant", ["..", "a/../b", "../../etc", "", ".", "a//b", "/a", "a\\..\\b", "a\nb", "a" * 1000])
async def test_no_folder_leads_elsewhere(work: Work, backend: ObstoreBackend, tenant: str) -> None:
    """A value of a row can't lead a file out of its folder, whatever it is."""
    with pytest.raises(InvalidKeyError):
        await add(work, tenant=tenant, letter=pending())
    await work.rollback()

    assert await keys(backend) == []


async def test_a_value_that_is_not_known_is_named(work: Work, backend: ObstoreBackend) -> None:
    """A folder that depends on what nobody knows yet is refused, and the message names it and what to do."""
    with pytest.raises(ConfigurationError, match=r"of_tenant\) asks for 'tenant'.*defaults=\{'tenant'"):
        await add(work, letter=pending())
    await work.rollback()

    assert await keys(backend) == []


async def test_no_more_statements(work: Work) -> None:
    """Paths of one folder are reserved in blocks, as those without one are: later uploads need no transaction more."""
    for _ in range(8):
        await add(work, scan=pending())
        await work.rollback()  # SQLite has no room for another transaction beside one that has read
    reserved = await work.do(lambda session: session.scalars(select(LEDGER.table.c.path)).all())

    assert reserved
    assert all(in_folder("invoices/", path) for path in reserved)


async def test_the_sweeper_knows_them(work: Work, engine: Engine | AsyncEngine, backend: ObstoreBackend) -> None:
    """What a killed process reserved and stored in a folder is deleted by the sweeper, and what rows hold is not."""
    row = await add(work, scan=pending(), tenant="acme", letter=pending())
    lost = f"tenants/acme/ab/ab{'0' * 30}"
    await backend.put(lost, b"lost")
    await work.do(lambda session: LEDGER.reserve(session.connection(), "rows", [lost]))
    await work.execute(update(LEDGER.table).values(due_at=0))
    await work.commit()

    swept = [one.path async for one in sweep(engine, LEDGER)]

    assert lost in swept
    assert row.scan is not None
    assert row.letter is not None
    assert await keys(backend) == sorted([str(row.scan.path), str(row.letter.path)])


async def test_an_audit_finds_orphans_in_folders(
    work: Work, engine: Engine | AsyncEngine, backend: ObstoreBackend
) -> None:
    """An audit takes what no row holds for an orphan in any folder, and nothing else."""
    await add(work, scan=pending(), tenant="acme", letter=pending())
    lost = f"invoices/ab/ab{'0' * 30}"
    await backend.put(lost, b"lost")

    found = [(finding.kind, finding.path) async for finding in audit(engine, Base.metadata, grace=-60)]

    assert found == [("orphan", lost)]


async def test_a_rollback_leaves_nothing(work: Work, backend: ObstoreBackend) -> None:
    """What was stored in a folder is deleted when the transaction is rolled back."""
    await work.add(Invoice(scan=pending()))
    await work.flush()
    assert len(await keys(backend)) == 1
    await work.rollback()

    assert await keys(backend) == []


async def test_bulk_inserts_choose_by_their_values(work: Work) -> None:
    """An `insert()` chooses the folders by the values of its rows, whichever way it has them."""
    await work.execute(insert(Invoice), [{"tenant": name, "letter": pending()} for name in ("acme", "umbrella")])
    await work.execute(insert(Invoice).values(tenant="globex", letter=pending()))
    await work.commit()

    rows = await work.do(lambda session: session.execute(select(Invoice.tenant, Invoice.letter)).all())
    assert len(rows) == 3
    assert all(letter and in_folder(f"tenants/{tenant}/", letter.path) for tenant, letter in rows)


async def test_a_bulk_update_that_says_nothing_is_refused(work: Work) -> None:
    """An `update()` that does not say which tenant its rows have can't choose a folder."""
    await add(work, tenant="acme")
    with pytest.raises(ConfigurationError, match="'tenant'"):
        await work.execute(update(Invoice).where(Invoice.tenant == "acme").values(letter=pending()))
    await work.rollback()


async def test_a_service_knows_its_defaults(work: Work) -> None:
    """A file that is stored before its row is made gets the folder that the service's defaults choose."""
    service = FileService(work.session, model=Invoice, defaults={"tenant": "acme"})
    async with service.storing(pending(), field="letter") as letter:
        row = await service.create({"letter": letter})
    await service.commit()

    assert in_folder("tenants/acme/", letter.path)
    assert row.tenant == "acme"


async def test_a_service_asks_the_row_that_is_there(work: Work) -> None:
    """A file for a row that is there gets the folder of that row, and not that of who replaces it."""
    row = await add(work, tenant="acme")
    identity = row.id
    service = FileService(work.session, model=Invoice, defaults={"tenant": "admins"})
    await service.replace(identity, pending(), field="letter")
    await service.append(identity, [pending(b"1")], field="pages")
    async with service.storing(pending(), field="letter", identity=identity) as waiting:
        await service.replace(identity, waiting, field="letter")
    await service.commit()

    row = await service.get(identity)
    assert row.letter is not None
    assert row.pages is not None
    assert all(in_folder("tenants/acme/", file.path) for file in [waiting, row.letter, *row.pages])


async def test_a_promoted_upload_goes_to_the_folder(work: Work, backend: ObstoreBackend) -> None:
    """What a client stored by an upload URL is copied into the folder of the column that takes it."""
    upload = FileObject(filename="a.txt", path=f".filestore-uploads/ffffffff{'0' * 32}")
    await backend.put(str(upload.path), b"sent")
    row = await FileService(work.session, model=Invoice).create({"tenant": "acme", "letter": upload})
    await work.commit()

    assert row.letter is not None
    assert in_folder("tenants/acme/", row.letter.path)


async def test_a_copy_stays_in_the_folder(work: Work) -> None:
    """A copy lies in the folder of its original."""
    row = await add(work, scan=pending())
    assert row.scan is not None
    copied = await row.scan.copy_async()

    assert in_folder("invoices/", copied.path)
    assert copied.path != row.scan.path
    await copied.delete_async()


async def test_what_was_stored_before_stays_where_it_is(work: Work) -> None:
    """A file that is stored already, and one with a path of its own, keep their paths."""
    stored = await FileObject("rows", "a.txt", content=b"stored").save_async()
    own = FileObject(filename="b.txt", content=b"own", path="by-hand/b.txt")
    row = await add(work, scan=stored, note=own)

    assert row.scan is not None
    assert row.note is not None
    assert in_folder("", row.scan.path)
    assert row.note.path == "by-hand/b.txt"


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
    assert await work.do(lambda session: session.scalars(select(LEDGER.table.c.path)).all())
    await work.rollback()
    plain, begun = engine.sync_engine if isinstance(engine, AsyncEngine) else engine, list[object]()
    event.listen(plain, "begin", begun.append)
    await release_reservations()

    assert len(begun) == 1
    assert await work.do(lambda session: session.scalars(select(LEDGER.table.c.path)).all()) == []
