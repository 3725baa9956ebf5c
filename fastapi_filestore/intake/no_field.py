"""Refuse parameters without Depends, which FastAPI takes for fields of the body, and say where they come from."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, get_origin

from pydantic.errors import PydanticSchemaGenerationError

from fastapi_filestore.errors import ConfigurationError


def no_field(source: Any, handler: Callable[[Any], Any], *, name: str, right: str) -> Any:
    """Return a schema where arbitrary types are allowed; `ConfigurationError` says elsewhere what gives one."""
    with suppress(PydanticSchemaGenerationError):
        if get_origin(source) is None:  # of an alias pydantic would ask again and again
            return handler(source)
    raise ConfigurationError(
        f"FastAPI takes a parameter of type {name} for a field of the body unless Depends gives it: write {right}."
    )
