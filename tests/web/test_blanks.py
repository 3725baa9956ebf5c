"""Fields that a browser sends though nobody filled them in."""

from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from fastapi import Depends, FastAPI
from pydantic import BaseModel, Field, Json

from fastapi_filestore import Filestore, Upload
from fastapi_filestore.errors import InvalidFieldsError
from fastapi_filestore.web.receiving.form_fields import validate_form
from tests.web.conftest import Serve
from tests.web.models import Article, Document, Measurement, Specimen
from tests.web.site import Site, problem_in


class Size(Enum):
    """A choice, one of which is nothing."""

    NONE = ""
    LARGE = "large"


class Order(BaseModel):
    """Fields of all kinds as a user may write them."""

    count: int = 7
    price: Decimal | None = None
    due: date | None = None
    sent: bool = False
    color: Literal["red", "blue"] = "red"
    side: Literal["", "left"] = "left"
    size: Size = Size.LARGE
    key: UUID | None = None
    note: str | None = "none"
    code: Annotated[str | None, Field(min_length=2)] = None
    raw: bytes = b"none"
    any: Any = "none"
    number: int | str = 7
    tags: Json[list[str]] | None = None
    places: Json[Any] = None
    renamed: int = Field(default=7, alias="other-name")


def test_what_can_not_be_empty_was_not_sent() -> None:
    """Numbers, dates, choices, keys and JSON keep their defaults; text, and a choice that is empty, are taken."""
    names = [field.alias or name for name, field in Order.model_fields.items() if name != "code"]
    order = validate_form(Order, dict.fromkeys(names, ""))

    assert order == Order(side="", size=Size.NONE, note="", raw=b"", any="", number="")


def test_text_that_is_too_short_is_told_so() -> None:
    """Nobody takes it for not sent: its model says what it must be."""
    with pytest.raises(InvalidFieldsError, match="at least 2"):
        validate_form(Order, {"code": ""})


def test_a_required_field_is_missing() -> None:
    """What must be sent is told as missing, as FastAPI tells it of a form."""

    class Needed(BaseModel):
        count: int

    with pytest.raises(InvalidFieldsError, match="count: Field required"):
        validate_form(Needed, {"count": ""})
    with pytest.raises(InvalidFieldsError, match="count"):
        validate_form(Needed, {"count": "x"})


async def test_an_empty_input_gives_its_columns_default(site: Site) -> None:
    """A number, a date, a choice and a checkbox that were left empty are as if the form had none of them."""
    plain = (await site.upload(title="plain")).json()
    blank = (await site.upload(title="blank", pages="", day="", kind="", signed="")).json()

    assert {name: blank[name] for name in ("pages", "day", "kind", "signed")} == {
        name: plain[name] for name in ("pages", "day", "kind", "signed")
    }


async def test_json_is_left_as_it_is(site: Site) -> None:
    """An empty text in a PATCH is no number and no choice."""
    created = (await site.upload()).json()
    for name in ("pages", "day", "kind", "signed"):
        problem_in(await site.client.patch(f"/documents/{created['id']}", json={name: ""}), 422, "invalid-fields")


async def test_empty_text_is_text(site: Site) -> None:
    """A column of text takes it."""
    assert (await site.upload(title="")).json()["title"] == ""


def build(app: FastAPI, files: Filestore) -> None:
    """Mount columns of many types, and a route of one's own."""
    for model in (Document, Measurement, Specimen, Article):
        app.include_router(files.router(model), prefix=f"/{model.__tablename__}")

    @app.post("/orders")
    async def order(upload: Annotated[Upload, Depends(files.upload(fields=Order))]) -> Any:
        async for _ in upload:
            pass
        return upload.values


async def test_columns_of_other_types(serve: Serve) -> None:
    """Decimals, durations, floats and JSON have their defaults; a key of text that must not be empty is refused."""
    async with serve(build=build) as site:
        numbers = dict.fromkeys(("price", "digits", "number", "plain", "lasted"), "")
        measured = await site.client.post("/measurements/", files={"file": b"x"}, data=numbers)
        specimen = await site.client.post(
            "/specimens/", files={"file": b"x"}, data={"ratio": "", "weight": "", "note": "", "meta": ""}
        )
        article = await site.client.post("/articles/", files={"file": b"x"}, data={"slug": ""})

        assert measured.status_code == 201, measured.text
        assert {measured.json()[name] for name in numbers} == {None}
        assert [specimen.json()[name] for name in ("ratio", "weight", "note", "meta")] == [0.5, "1", "", None]
        problem_in(article, 422, "invalid-fields")


async def test_a_route_of_ones_own(serve: Serve) -> None:
    """`fields=` of a dependency sees forms in the same way."""
    async with serve(build=build) as site:
        response = await site.client.post("/orders", files={"file": b"x"}, data={"count": "", "due": "", "note": ""})

        assert response.json() == Order(note="").model_dump(mode="json", by_alias=True)
