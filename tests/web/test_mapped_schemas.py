"""Schemas that no row of a model fits are refused where the router is made, and named."""

from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import AliasChoices, AliasPath, BaseModel, Field, model_validator

from fastapi_filestore import ConfigurationError
from tests.web.mapped import (
    REPORTS,
    UNREADABLE,
    Essay,
    EssayRead,
    Photo,
    ReportRead,
)
from tests.web.serving_mapped import FILE, filestore, serving

pytestmark = pytest.mark.usefixtures("backend")


class Made(BaseModel):
    """A field of which no row knows."""

    nosuch: str


class Given(BaseModel):
    """Fields that rows need not have."""

    id: int
    nosuch: str = "default"
    plain: str
    name: str = Field(validation_alias=AliasChoices("nosuch", "title"))
    path: str = Field(validation_alias=AliasPath("title", 0))


class FromRow(Made):
    """A schema that makes of a row what it likes."""

    @model_validator(mode="before")
    @classmethod
    def look(cls, row: Any) -> dict[str, str]:
        """Take something of the row."""
        return {"nosuch": row.title}


class Nested(BaseModel):
    """What is related to a report, with a field too many."""

    owner: Made


class Drafts(BaseModel):
    """A column that is never loaded by itself."""

    secret: str | None


@pytest.mark.parametrize(
    ("model", "read", "right"),
    [
        *(
            (model, ReportRead, rf"ReportRead.*{model.__name__}\..*lazy='{model.__name__[6:].lower()}'")
            for model in UNREADABLE
        ),
        (Photo, Made, "Made.nosuch: Photo has no attribute 'nosuch'"),
        (REPORTS[0], Nested, "Made.nosuch: Owner has no attribute 'nosuch'"),
        (Essay, Drafts, r"Drafts.secret shows Essay.secret.*raiseload=True"),
    ],
)
def test_a_schema_that_no_row_fits(model: type[Any], read: type[BaseModel], right: str) -> None:
    """What no row could be shown as is refused where the router is made, by the field and the attribute."""
    with pytest.raises(ConfigurationError, match=right):
        filestore(lambda: None).router(model, read=read)


@pytest.mark.parametrize(("model", "read"), [(Essay, Given), (Essay, FromRow), (Essay, EssayRead)])
def test_a_schema_that_rows_fit(model: type[Any], read: type[BaseModel]) -> None:
    """Defaults, aliases, class attributes and validators of the whole are what a row may be shown by."""
    filestore(lambda: None).router(model, read=read)


@pytest.mark.parametrize("name", ["create", "update"])
def test_fields_that_no_row_has(name: str) -> None:
    """A field that the model has no attribute for is refused, unless it is left out of what is written."""

    class Agreed(BaseModel):
        title: str
        agreed: bool = Field(exclude=True)

    wrong, right = dict[str, Any]({name: Made}), dict[str, Any]({name: Agreed})
    with pytest.raises(ConfigurationError, match=r"Made\.nosuch: Photo has no attribute 'nosuch'"):
        filestore(lambda: None).router(Photo, **wrong)
    filestore(lambda: None).router(Photo, **right)


class Strict(BaseModel):
    """A title that rows may not have."""

    title: Literal["other"]


async def test_a_row_that_its_schema_does_not_fit(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The log names the schema, the model, the field and why; the client hears of an application's mistake."""
    async with serving(tmp_path, Photo, read=Strict) as client:
        created = await client.post("/rows/", files=FILE, data={"title": "t"})

    assert (created.status_code, created.json()["type"]) == (500, "urn:fastapi-filestore:configuration-error")
    assert "Strict can't show a row of Photo: title: Input should be 'other'" in caplog.text


async def test_a_relationship_that_is_forbidden_further_in(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What only a request finds out is told with the schema and the model, and how to mend it."""

    class Show(BaseModel):
        names: list[str]

    async with serving(tmp_path, UNREADABLE[0], read=Show) as client:
        created = await client.post("/rows/", files=FILE, data={"owner_id": "2"})

    assert created.json()["type"] == "urn:fastapi-filestore:configuration-error"
    assert (
        "Show can't show a row of ReportRaise: 'ReportRaise.tags' is not available due to lazy='raise'" in caplog.text
    )
