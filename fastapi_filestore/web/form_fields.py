"""A form's text fields as a model is to see them: without what was left empty, and what is not for it."""

from collections.abc import Collection, Iterator, Mapping
from enum import Enum
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import AliasChoices, AliasPath, BaseModel, Json, TypeAdapter, ValidationError, WithJsonSchema
from pydantic.fields import FieldInfo
from pydantic_core import from_json

from fastapi_filestore.errors import InvalidFieldsError

UnknownFields = Literal["ignore", "refuse"]
"""What becomes of a form's fields that nobody asked for."""

_JSON: Any = Json


def without_blanks(schema: type[BaseModel], fields: Mapping[str, str]) -> dict[str, str]:
    """Return a form's fields without those that are empty and can't be: numbers, dates, choices, keys, JSON and so on.

    A form sends all its inputs, those that nobody filled in as well. FastAPI's `Form()` takes them for not sent, too.
    Text may be empty.
    """
    blanks = _never_empty(schema)
    return {name: value for name, value in fields.items() if value or name not in blanks}


@cache
def _never_empty(schema: type[BaseModel]) -> frozenset[str]:
    return frozenset(
        name
        for attribute, field in schema.model_fields.items()
        if not _takes_empty_text(field)
        for name in names_of(schema, attribute, field)
    )


def without_unknown(
    schema: type[BaseModel], fields: Mapping[str, str], unknown: UnknownFields, *, refused: Collection[str]
) -> Mapping[str, str]:
    """Return a form's fields without those that a model doesn't know, or refuse them.

    A model that says itself what becomes of them (`extra=`) is asked.

    Args:
        schema: The model.
        fields: What was sent.
        unknown: What becomes of them.
        refused: Names that mean something, so that they are no client's additions: the model says that they are wrong.

    Raises:
        InvalidFieldsError: There are some, and they are to be refused.
    """
    known = known_names(schema)
    if unknown == "ignore":
        return {name: value for name, value in fields.items() if name in known or name in refused}
    if schema.model_config.get("extra") is None and (others := [name for name in fields if name not in known]):
        said = "This field is not known here: leave it out"
        raise InvalidFieldsError([{"loc": (name,), "msg": said, "type": "extra_forbidden"} for name in others])
    return fields


def is_json_object(text: str) -> bool:
    """Tell whether a text is a JSON object."""
    try:
        return text.startswith("{") and isinstance(from_json(text), dict)
    except ValueError:
        return False


@cache
def known_names(schema: type[BaseModel]) -> frozenset[str]:
    """Return the names under which a model takes its fields."""
    return frozenset(
        name for attribute, field in schema.model_fields.items() for name in names_of(schema, attribute, field)
    )


def names_of(schema: type[BaseModel], attribute: str, field: FieldInfo) -> Iterator[str]:
    """Yield the names under which a model takes a field."""
    alias = field.validation_alias or field.alias
    config = schema.model_config
    if alias is None or config.get("populate_by_name") or config.get("validate_by_name"):
        yield attribute
    for choice in alias.choices if isinstance(alias, AliasChoices) else [alias]:
        if choice is not None:
            yield str(choice.path[0]) if isinstance(choice, AliasPath) else choice


def _takes_empty_text(field: FieldInfo) -> bool:
    kind: Any = field.annotation
    if field.metadata:
        kind = Annotated.__class_getitem__((kind, *field.metadata))  # type: ignore[attr-defined]
    if _is_text(kind):  # which may be too short for its model, and is told so
        return True
    try:
        TypeAdapter(kind).validate_python("")
    except ValidationError:
        return False
    except Exception:  # noqa: BLE001 - a validator of the user's, which may need all of its model
        return True
    return True


def _is_text(kind: Any) -> bool:
    """Tell whether a type, or one of a union, is text of any form."""
    if get_origin(kind) in (Union, UnionType):
        return any(map(_is_text, get_args(kind)))
    if get_origin(kind) is Annotated:
        return not any(map(_is_of_a_format, kind.__metadata__)) and _is_text(get_args(kind)[0])
    kind = getattr(kind, "__supertype__", getattr(kind, "__value__", kind))  # of a NewType, or of an alias
    return isinstance(kind, type) and issubclass(kind, (str, bytes)) and not issubclass(kind, Enum)


def _is_of_a_format(metadata: object) -> bool:
    """Tell whether an annotation makes of text what can't be empty: JSON, or another format."""
    return isinstance(metadata, _JSON) or (
        isinstance(metadata, WithJsonSchema) and "format" in (metadata.json_schema or {})
    )
