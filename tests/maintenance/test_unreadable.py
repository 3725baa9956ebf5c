"""Rows whose file column holds something else than files: they are told, and nothing that they may hold is deleted."""

from typing import Any

import pytest
from sqlalchemy import Text, type_coerce, update

from fastapi_filestore import FindingKind, ObstoreBackend, RowIdentity, storages
from tests.maintenance.conftest import Site, briefly, write, write_json
from tests.maintenance.models import Photo, PlainBase, Scan

RECORD = {"backend": "shelf", "path": "ab/held", "filename": "a.txt"}
ODD: list[Any] = [
    "ab/held",
    5,
    -1.5,
    True,
    False,
    "",
    [],
    {},
    ["ab/held"],
    [[RECORD]],
    [RECORD, RECORD],
    [None],
    {"file": RECORD},
    {"backend": "shelf"},
    {"backend": "shelf", "path": "", "filename": ""},
    {"backend": "shelf", "path": 5},
    {"backend": "shelf", "path": ["ab/held"], "filename": "a.txt"},
    {"backend": 5, "path": "ab/held"},
    {"backend": {"key": "shelf"}, "path": "ab/held"},
    {"backend": ["shelf"], "path": "ab/held"},
    {"backend": False, "path": "ab/held"},
    {"backend": "b" * 256, "path": "ab/held"},
]
"""Values of a single column that can't be read as a file."""


@pytest.mark.parametrize("site", ["sqlite-async", "postgres-sync"], indirect=True)
async def test_odd_values(site: Site) -> None:
    """While a value can't be read as a file, the row is told with table, column and key, and no orphan goes."""
    row, stray = await site.add(file=None), site.place("ab/held")
    for value in ODD:
        await write(site, row.id, file=value)
        unreadable, *orphans = await site.audit(fix=["orphan"])

        assert unreadable.kind is FindingKind.UNREADABLE_ROW, value
        assert (unreadable.row, unreadable.backend) == (RowIdentity("reports", "file", (row.id,)), "shelf")
        assert all("It was not deleted: reports has values that can't be read" in one.detail for one in orphans)
        assert stray.exists()

    await write(site, row.id, file=RECORD | {"path": "ab/gone"})
    assert briefly(await site.audit(fix=["orphan"])) == [("orphan", "ab/held", True), ("missing", "ab/gone", False)]


@pytest.mark.parametrize("site", ["sqlite-async", "postgres-sync"], indirect=True)
@pytest.mark.parametrize(
    "value", ["ab/held", 5, {}, [RECORD, "ab/held"], [RECORD, None], [[RECORD]], [RECORD, {"backend": "shelf"}]]
)
async def test_odd_lists(site: Site, value: Any) -> None:
    """A list with one item that can't be read as a file is one that can't be read."""
    row = await site.add(file=None)
    await write(site, row.id, pages=value)
    site.place("ab/held")

    findings = await site.audit(fix=["orphan"])

    assert (findings[0].kind, findings[0].row) == (
        FindingKind.UNREADABLE_ROW,
        RowIdentity("reports", "pages", (row.id,)),
    )
    assert site.objects() == {"ab/held"}


@pytest.mark.parametrize("site", ["sqlite-async", "sqlite-sync"], indirect=True)
@pytest.mark.parametrize(
    "text", ["ab/held", "{", "shelf:ab/held", '{"backend": "shelf", "path": "ab/held"', "[" * 9999, "\0"]
)
async def test_text_that_is_no_json(site: Site, text: str) -> None:
    """On SQLite, which takes any text, what is no JSON stops no audit, and keeps what it may hold."""
    row, other = await site.add(file=None), await site.add()
    await write_json(site, row.id, file=text, pages=text)
    site.place("ab/held")

    findings = await site.audit(fix=["orphan"])

    assert [one.kind.value for one in findings] == ["unreadable_row", "unreadable_row", "orphan"]
    assert site.objects() == {"ab/held", other.file.path}


@pytest.mark.parametrize("site", ["sqlite-async", "postgres-sync"], indirect=True)
async def test_the_other_kind_of_column(site: Site) -> None:
    """A list of one in a single column, and a lone object in a list column, hold their files."""
    row = await site.add(file=None)
    await write(site, row.id, file=[RECORD], pages=RECORD | {"path": "cd/held"})
    for path in ("ab/held", "cd/held", "ab/old"):
        site.place(path)

    assert briefly(await site.audit(fix=["orphan"])) == [("orphan", "ab/old", True)]
    assert site.objects() == {"ab/held", "cd/held"}


@pytest.fixture
def attic(tmp_path: Any) -> Any:
    """Register a second backend, whose folder is below the first one's parent."""
    backend = ObstoreBackend(key="attic", fs=tmp_path / "attic")
    storages.register_backend(backend)
    yield backend
    storages.unregister_backend("attic")


@pytest.mark.parametrize("site", ["sqlite-async"], indirect=True)
@pytest.mark.parametrize(
    ("others", "value", "kept"),
    [
        ({"file": RECORD}, "ab/held", {"shelf"}),
        ({"file": RECORD}, {"backend": "attic", "path": 5}, {"shelf", "attic"}),
        ({"file": RECORD}, "attic:ab/held", {"shelf", "attic"}),
        ({"pages": [RECORD | {"backend": "attic"}]}, "ab/held", {"shelf", "attic"}),
    ],
)
async def test_the_backends_that_are_kept(
    site: Site, attic: ObstoreBackend, others: dict[str, Any], value: Any, kept: set[str]
) -> None:
    """What is kept are the objects of the column's backend, of those that other rows name, and the value itself."""
    row = await site.add(file=None)
    await write(site, row.id, file=value)
    other = await site.add(file=None)
    await write(site, other.id, **others)
    for backend in (site.backend, attic):
        await backend.put("zz/old", b"x")
    age(site)

    findings = await site.audit(fix=["orphan"], backends=["shelf", "attic"])

    orphans = {one.backend: one.fixed for one in findings if one.kind is FindingKind.ORPHAN}
    assert orphans == {backend: backend not in kept for backend in ("shelf", "attic")}


def age(site: Site) -> None:
    """Make every object of the suite old."""
    for backend in ("shelf", "attic"):
        for file in [one for one in (site.root.parent / backend).rglob("*") if one.is_file()]:
            site.place(f"../{backend}/{file.relative_to(site.root.parent / backend).as_posix()}")


@pytest.mark.parametrize("site", ["sqlite-async"], indirect=True)
async def test_another_table(site: Site) -> None:
    """A table that nobody asked about keeps its objects as well."""
    await site.execute(PlainBase.metadata.tables["photos"].insert().values(id=1, file=None))
    await site.execute(_raw_photo("ab/held"))
    site.place("ab/held")

    findings = await site.audit(fix=["orphan"])

    assert [(one.kind.value, one.fixed) for one in findings] == [("unreadable_row", False), ("orphan", False)]


def _raw_photo(text: str) -> Any:
    table: Any = Photo.__table__
    return update(table).values(file=type_coerce(f'"{text}"', Text))


@pytest.mark.parametrize("site", ["sqlite-async", "postgres-sync"], indirect=True)
async def test_on_from_an_unreadable_row(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the cursor of an unreadable row an audit goes on with the next."""
    monkeypatch.setattr("fastapi_filestore.service.audit.audit.REFERENCES_AT_ONCE", 2)
    for _ in range(5):
        await write(site, (await site.add(file=None)).id, file="ab/held", pages=5)
    site.place("ab/old")
    findings = await site.audit()
    assert len(findings) == 11

    for number, finding in enumerate(findings):
        assert await site.audit(after=finding.cursor) == findings[number + 1 :]


@pytest.mark.parametrize("site", ["sqlite-async", "postgres-sync"], indirect=True)
async def test_odd_facts(site: Site) -> None:
    """A file whose place can be read is one, whatever else is odd about it."""
    row = await site.add(Scan, owner="me", number=1)
    report = await site.add()
    odd = {"size": "many", "etag": 5, "checksum": ["x"], "metadata": [1], "last_modified": "monday", "version_id": {}}
    await write(site, report.id, file={"backend": "shelf", "path": report.file.path, **odd, "filename": 5})

    assert await site.audit(verify=True) == []
    async with site.service() as service:
        file = await service.file(report.id, field="file")
        assert await file.get_content_async() == b"content"
    assert (file.size, file.etag, file.checksum, file.last_modified, dict(file.metadata)) == (None,) * 4 + ({},)
    assert row.file.size == 7


@pytest.mark.parametrize("site", ["sqlite-async"], indirect=True)
async def test_a_size_that_is_no_number_of_bytes(site: Site) -> None:
    """A size of more digits than anything can have is no size."""
    row = await site.add()
    await write(site, row.id, file={"backend": "shelf", "path": row.file.path, "size": 10**30})

    assert await site.audit() == []
