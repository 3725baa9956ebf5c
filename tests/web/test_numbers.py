"""Numbers and spans of time that a column can't hold, or that a database makes something else of."""

import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import Response
from pydantic import BaseModel, Json
from sqlalchemy import update

from fastapi_filestore import Filestore
from tests.web.conftest import Serve
from tests.web.models import Measurement
from tests.web.site import Site, problem_in

DATABASES = ["sqlite", "sqlite+aiosqlite", "postgresql+asyncpg", "postgresql+psycopg"]


def measurements(app: FastAPI, files: Filestore) -> None:
    """Mount the measurements."""
    app.include_router(files.router(Measurement), prefix="/measurements")


@pytest.fixture
async def site(serve: Serve) -> AsyncIterator[Site]:
    """Measurements on SQLite."""
    async with serve(build=measurements, shared=True) as site:
        yield site
        await site.check()


@pytest.fixture(params=DATABASES)
async def anywhere(request: pytest.FixtureRequest, serve: Serve, tmp_path: Any) -> AsyncIterator[Site]:
    """Measurements on every database."""
    postgres = request.param.startswith("postgresql")
    url = request.getfixturevalue("postgres_database").url(request.param) if postgres else None
    async with serve(url or f"{request.param}:///{tmp_path}/web.db", build=measurements, shared=True) as site:
        yield site
        await site.check()


async def post(site: Site, **values: str) -> Response:
    """Upload a file with numbers."""
    return await site.client.post("/measurements/", files={"file": b"content"}, data=values)


@pytest.mark.parametrize("span", ["P999999999D", "-P999999999D"])
async def test_a_span_beyond_every_calendar_is_refused(site: Site, span: str, caplog: pytest.LogCaptureFixture) -> None:
    """What SQLite's dates can't hold is the client's mistake: 422, nothing is kept, and no log tells of it."""
    await post(site)
    with caplog.at_level(logging.INFO):
        posted = await post(site, lasted=span)
        changed = await site.client.patch("/measurements/1", json={"lasted": span})

    for answer in (posted, changed):
        assert [each["loc"] for each in problem_in(answer, 422, "invalid-fields")["errors"]] == [["lasted"]]
    assert (await site.rows(Measurement), len(await site.keys())) == (1, 1)
    assert not any(word in caplog.text for word in ("INSERT", "UPDATE", "999999999"))


@pytest.mark.parametrize("column", ["number", "scaled", "binary"])
@pytest.mark.parametrize("value", ["1e500", "-1e500"])
async def test_a_number_that_becomes_infinite_can_be_read(site: Site, column: str, value: str) -> None:
    """SQLite takes a number that is too large for infinity: its row and the list show it as that."""
    created = await post(site, **{column: value})
    read, listed = await site.client.get("/measurements/1"), await site.client.get("/measurements/")
    infinity = value.replace("1e500", "Infinity")

    assert (created.status_code, read.status_code, listed.status_code) == (201, 200, 200)
    assert read.json()[column] == listed.json()["items"][0][column] == infinity


@pytest.mark.parametrize("column", ["price", "number", "plain"])
async def test_an_infinity_that_somebody_else_wrote_can_be_read(site: Site, column: str) -> None:
    """A row that did not come through the router is shown, too."""
    await post(site)
    async with site.session() as session:
        await session.execute(update(Measurement).values({column: float("inf")}))
        await session.commit()

    assert (await site.client.get("/measurements/1")).json()[column] in {"Infinity", None}  # JSON has no such number
    assert (await site.client.get("/measurements/")).status_code == 200


@pytest.mark.parametrize("value", ["Infinity", "-Infinity", "NaN"])
async def test_a_client_writes_no_infinity(site: Site, value: str) -> None:
    """What is no number is none for a column of decimals."""
    problem_in(await post(site, number=value), 422, "invalid-fields")


@pytest.mark.parametrize(
    ("values", "status"),
    [
        ({"price": "9999.99"}, 201),
        ({"price": "-1234.50000"}, 201),  # zeros at the end are no digits
        ({"price": "1e3"}, 201),
        ({"price": "10000"}, 422),  # which is within six digits, two of them after the point
        ({"price": "0.001"}, 422),
        ({"price": "1e500"}, 422),
        ({"digits": "9999"}, 201),
        ({"digits": "10000"}, 422),
        ({"scaled": "123456789.125"}, 201),  # a scale alone is no limit to any database
        ({"binary": "0.125"}, 201),  # a Float's precision is in bits
        ({"plain": "1234.5"}, 201),
    ],
)
async def test_a_number_has_no_more_digits_than_its_column(anywhere: Site, values: dict[str, str], status: int) -> None:
    """Precision and scale of a column are limits of the derived models, on POST and on PATCH."""
    created = await post(anywhere, **values)
    await post(anywhere)
    (row, *_) = (await anywhere.client.get("/measurements/")).json()["items"]
    changed = await anywhere.client.patch(f"/measurements/{row['id']}", json=values)

    assert (created.status_code, changed.status_code) == (status, 200 if status == 201 else status)


@pytest.mark.parametrize(
    ("name", "value", "is_sqlites"),
    [
        ("count", "2147483648", True),
        ("count", "9223372036854775808", False),
        ("few", "-32769", True),
        ("many", "-9223372036854775809", False),
        ("label", "a\0b", True),
        ("notes", '{"a": "\\u0000"}', True),
        ("notes", "[NaN]", False),
        ("notes", '{"a": {"b": -1e400}}', False),
        ("notes", "Infinity", False),
    ],
)
async def test_a_value_that_its_column_cannot_hold_is_named(
    anywhere: Site, name: str, value: str, *, is_sqlites: bool
) -> None:
    """A 422 names the field, on POST and on PATCH; SQLite holds more than others, and no database holds NaN."""
    await post(anywhere)
    (row, *_) = (await anywhere.client.get("/measurements/")).json()["items"]
    body = f'{{"{name}": {value if name != "label" else json.dumps(value)}}}'
    url, headers = f"/measurements/{row['id']}", {"content-type": "application/json"}
    answers = [await post(anywhere, **{name: value}), await anywhere.client.patch(url, content=body, headers=headers)]

    is_held = is_sqlites and "sqlite" in str(anywhere.sessions.kw["bind"].url)
    assert [answer.status_code for answer in answers] == ([201, 200] if is_held else [422, 422])
    for answer in answers if not is_held else []:
        assert [each["loc"] for each in problem_in(answer, 422, "invalid-fields")["errors"]] == [[name]]


@pytest.mark.parametrize(
    ("name", "value", "said"), [("unit", "inch", "A unit is m or kg."), ("grade", "7", "A grade is from 1 to 6.")]
)
async def test_what_a_validator_of_the_model_says_is_told(site: Site, name: str, value: str, said: str) -> None:
    """The text of `@validates` is for the client, with the name of the field, on POST and on PATCH."""
    await post(site)
    answers = [await post(site, **{name: value}), await site.client.patch("/measurements/1", json={name: value})]

    for answer in answers:
        (problem,) = problem_in(answer, 422, "invalid-fields")["errors"]
        assert (problem["loc"], problem["msg"]) == ([name], said)
    assert (await site.rows(Measurement), len(await site.keys())) == (1, 1)


class Noted(BaseModel):
    """A schema of one's own that takes whatever JSON is written as."""

    notes: Json[Any] | dict[str, Any]


async def test_a_schema_of_ones_own_takes_no_nan(serve: Serve) -> None:
    """What JSON has no word for is refused by its field before a column of JSON has it, whatever a schema says."""

    def build(app: FastAPI, files: Filestore) -> None:
        app.include_router(files.router(Measurement, create=Noted, update=Noted), prefix="/measurements")

    async with serve(build=build) as site:
        await post(site, notes="{}")
        headers = {"content-type": "application/json"}
        changed = await site.client.patch("/measurements/1", content='{"notes": {"a": NaN}}', headers=headers)
        for answer in (await post(site, notes='{"a": [1e400]}'), changed):
            assert problem_in(answer, 422, "invalid-fields")["errors"][0]["loc"] == ["notes"]
