"""The router in front of models of every kind: what was written is answered as it is read."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from fastapi_filestore import ConfigurationError, FileService
from tests.web.mapped import (
    REPORTS,
    Card,
    Essay,
    EssayRead,
    Found,
    LargeScan,
    Lease,
    Letter,
    Map,
    Media,
    Memo,
    Note,
    Photo,
    Poster,
    ReportRead,
    Scan,
)
from tests.web.serving_mapped import FILE, filestore, serving

pytestmark = pytest.mark.usefixtures("backend")


KINDS = [
    (Photo, None, {"title": "t"}),
    (Scan, None, {"title": "t"}),
    (LargeScan, None, {"title": "t", "width": "7"}),
    (Map, None, {}),
    (Lease, None, {"title": "t"}),
    *((model, ReportRead, {"owner_id": "2"}) for model in REPORTS),
    (Essay, None, {"title": "t"}),
    (Essay, EssayRead, {"title": "t", "draft": "d"}),
    (Note, None, {"title": "t", "remark": "r"}),
    (Memo, None, {"title": "t"}),
    (Poster, None, {"title": "t"}),
    (Letter, None, {"title": "t", "shade": "red"}),
]


@pytest.mark.parametrize("asynchronous", [True, False])
@pytest.mark.parametrize(
    ("model", "read", "fields"), KINDS, ids=lambda value: value.__name__ if isinstance(value, type) else ""
)
async def test_a_row_is_answered_as_it_is_read(
    tmp_path: Path, model: type[Any], read: type[BaseModel] | None, fields: Mapping[str, str], *, asynchronous: bool
) -> None:
    """POST, GET, a listing, PATCH and PUT show the same row, whatever the model is made of."""
    async with serving(tmp_path, model, read=read, asynchronous=asynchronous) as client:
        created = await client.post("/rows/", files=FILE, data=fields)
        assert created.status_code == 201, created.text
        location = created.headers["location"]
        seen = [(await client.get(location)).json(), (await client.patch(location, json={})).json()]
        seen += (await client.get("/rows/")).json()["items"]
        replaced = await client.put(f"{location}/file", files={"file": ("b.txt", b"other")})

        assert seen == [created.json()] * 3
        assert (await client.get(location)).json() == replaced.json()
        assert (await client.get(f"{location}/file")).content == b"other"
        assert (await client.delete(location)).status_code == 204


@pytest.mark.parametrize("model", REPORTS)
async def test_a_relationship_that_leads_elsewhere(tmp_path: Path, model: type[Any]) -> None:
    """PATCH of a foreign key answers with what it leads to now."""
    async with serving(tmp_path, model, read=ReportRead) as client:
        location = (await client.post("/rows/", files=FILE, data={"owner_id": "1"})).headers["location"]
        changed = (await client.patch(location, json={"owner_id": 2})).json()

    assert (changed["owner"], changed["names"]) == ({"id": 2, "name": "two"}, ["blue"])


@pytest.mark.parametrize("name", ["id", "kind", "scan_id", "large_id"])
async def test_what_the_mapper_fills_in(tmp_path: Path, name: str) -> None:
    """No client sets the key or the discriminator of a joined subclass."""
    async with serving(tmp_path, LargeScan) as client:
        response = await client.post("/rows/", files=FILE, data={"title": "t", "width": "1", name: "9"})

    assert response.status_code == 422


async def test_defaults_of_a_dataclass(tmp_path: Path) -> None:
    """What a dataclass has a default for, a client may leave out or set."""
    async with serving(tmp_path, Note) as client:
        left_out, given = [
            (await client.post("/rows/", files=FILE, data={"title": "t", **fields})).json()
            for fields in ({}, {"state": "old", "rank": "5"})
        ]

    assert [(row["state"], row["rank"], row["remark"]) for row in (left_out, given)] == [
        ("new", 3, None),
        ("old", 5, None),
    ]


async def test_what_a_dataclass_makes_up(tmp_path: Path) -> None:
    """A key that a factory makes is nobody's to send."""
    async with serving(tmp_path, Memo) as client:
        response = await client.post("/rows/", files=FILE, data={"title": "t", "id": "mine"})

    assert response.status_code == 422


def test_a_constructor_that_needs_more() -> None:
    """A model whose constructor needs what no client sends is refused where its router is made."""
    files = filestore(lambda: None)
    with pytest.raises(ConfigurationError, match=r"Card\(\) needs 'note', which no client may set: give it a default"):
        files.router(Card)
    files.router(Card, defaults={"note": lambda: Note("t")})


@pytest.mark.parametrize(("model", "right"), [(Media, r"polymorphic_abstract.*\(Film\)"), (Found, "maps a query")])
def test_a_class_without_rows_of_its_own(model: type[Any], right: str) -> None:
    """No router is made for what nobody can add rows to."""
    with pytest.raises(ConfigurationError, match=right):
        filestore(lambda: None).router(model)


async def test_an_abstract_class_has_no_new_rows() -> None:
    """A service that is to make a row of a class without any says so, and which classes have some."""
    with pytest.raises(ConfigurationError, match=r"polymorphic_abstract.*\(Film\)"):
        await FileService(AsyncSession(), model=Media).create({})
