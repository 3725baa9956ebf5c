"""Fields of requests as values: validated within their limits, and handed on as columns take them."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json, to_json

from fastapi_filestore.errors import InvalidFieldsError, UploadTooLargeError
from fastapi_filestore.intake.json_shape import check_shape
from fastapi_filestore.intake.limits import FormLimits
from fastapi_filestore.web.form_fields import without_blanks

SchemaT = TypeVar("SchemaT", bound=BaseModel)


class ColumnFields(BaseModel, protected_namespaces=()):
    """Values of columns: what was derived from a model has this base."""


def attributes_of(schema: type[BaseModel]) -> dict[str, str]:
    """Return the attributes that the fields of a schema are values for, by the names of the fields."""
    if not issubclass(schema, ColumnFields):
        return {name: name for name, field in schema.model_fields.items() if not field.exclude}
    return {name: field.alias or name for name, field in schema.model_fields.items()}


def values_of(fields: BaseModel, *, only_set: bool = False) -> dict[str, Any]:
    """Return fields by name: of columns as each column's type takes them, of a user's model as dicts and lists."""
    if not isinstance(fields, ColumnFields):
        return fields.model_dump(exclude_unset=only_set)
    known = attributes_of(type(fields)).items()
    kept = fields.model_fields_set if only_set else type(fields).model_fields.keys()
    return {attribute: getattr(fields, name) for name, attribute in known if name in kept}


def validated(schema: type[SchemaT], fields: Mapping[str, str], *, limits: FormLimits | None = None) -> SchemaT:
    """Validate the fields of a form; `InvalidFieldsError` says which are wrong.

    Those of JSON columns, which come as JSON's text, are within the limits.
    """
    try:
        return schema.model_validate(without_blanks(schema, fields), context=limits)
    except ValidationError as error:
        raise InvalidFieldsError(error.errors(include_url=False, include_input=False)) from None


def validated_json(schema: type[SchemaT], body: bytes, *, limits: FormLimits) -> SchemaT:
    """Validate fields that came as JSON; `InvalidFieldsError` says which are wrong.

    Raises:
        UploadTooLargeError: A value is larger than a field may be: as text, or as JSON if it is something else.
    """
    check_shape(body, limits)
    if len(body) > limits.field_size:  # or no value can be
        _check_sizes(body, limits.field_size)
    try:
        return schema.model_validate_json(body)
    except ValidationError as error:
        raise InvalidFieldsError(error.errors(include_url=False, include_input=False)) from None


def _check_sizes(body: bytes, limit: int) -> None:
    try:
        fields = from_json(body)
    except ValueError:  # whoever validates it says what is wrong
        return
    for name, value in fields.items() if isinstance(fields, dict) else ():
        size = len(value.encode() if isinstance(value, str) else to_json(value))
        if size > limit:
            raise UploadTooLargeError(f"field {name!r}", limit=limit, actual=size)
