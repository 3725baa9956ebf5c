"""Refuse parameters without Depends, which FastAPI takes for fields of the body, and say where they come from."""

from collections.abc import Callable
from contextlib import suppress
from typing import get_origin

from pydantic.errors import PydanticSchemaGenerationError
from pydantic_core import CoreSchema

from fastapi_filestore.errors import ConfigurationError


def no_field(source: object, handler: Callable[[object], CoreSchema], *, name: str, right: str) -> CoreSchema:
    """Return a schema where arbitrary types are allowed; `ConfigurationError` says elsewhere what gives one."""
    with suppress(PydanticSchemaGenerationError):
        if get_origin(source) is None:  # of an alias pydantic would ask again and again
            return handler(source)
    raise ConfigurationError(
        f"FastAPI takes a parameter of type {name} for a field of the body unless Depends gives it: write {right}."
    )
