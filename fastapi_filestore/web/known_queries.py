"""Find the query parameters that nobody knows: neither a route nor any of its dependencies, whoever added them."""

from collections.abc import Iterable, Iterator, Mapping
from types import UnionType
from typing import Any, Final, TypeAlias, Union, get_args, get_origin

import fastapi.routing
from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import get_dependant
from fastapi.openapi.models import APIKeyIn
from fastapi.routing import APIRoute
from fastapi.security.base import SecurityBase
from pydantic import AliasChoices, AliasPath, BaseModel
from pydantic.fields import FieldInfo
from starlette.routing import BaseRoute

from fastapi_filestore.errors import InvalidFieldsError

UNKNOWN_QUERY: Final = "fastapi_filestore.unknown_query"
"""Has the error of a request with unknown parameters, until who sends it has been authorized."""
NOTED: Final = "effective_route_context"
"""What FastAPI calls the place of a request, in its part of the scope, where it notes it."""
MAX_KNOWN: Final = 20
"""Names of known parameters that an error tells."""


Place: TypeAlias = Any
"""A route as it is included somewhere, of which newer versions of FastAPI have a class of their own."""
Overrides: TypeAlias = Mapping[Any, Any]
"""The dependencies that an application replaces, and by which ones."""


class _AnyNameError(Exception):
    """A model takes parameters of any name."""


def included_routes(routes: Iterable[BaseRoute]) -> Iterator[Place]:
    """Yield routes as they are included, those of what is mounted as well."""
    walk: Any = getattr(
        fastapi.routing, "iter_route_contexts", iter
    )  # of newer versions; older ones copy what is included
    for route in walk(routes):
        yield route
        yield from included_routes(_routes_below(route))


def _routes_below(route: object) -> Iterable[BaseRoute]:
    """Return the routes of what a mount, a host or any other route leads to, whatever it is wrapped in."""
    part = getattr(route, "original_route", route)
    while part is not None:
        if routes := getattr(part, "routes", None):
            return list(routes)
        part = getattr(part, "app", None)
    return ()


def api_routes(routes: Iterable[BaseRoute]) -> Iterator[APIRoute]:
    """Yield routes of FastAPI as they were written, those of what is included or mounted as well."""
    for route in routes:
        if isinstance(route, APIRoute):
            yield route
        # A router that was included, in newer versions of FastAPI, or an application that was mounted.
        inner = getattr(route, "original_router", route)
        if not isinstance(route, APIRoute):
            yield from api_routes(getattr(inner, "routes", None) or ())


def unknown_query(request: Request) -> InvalidFieldsError | None:
    """Return the error that names the unknown parameters of a request, if it has any."""
    asked = request.query_params.keys()
    try:
        known = {name for place in _places_of(request) for name in _names_of(place.dependant, _overrides(place))}
    except _AnyNameError:
        return None
    unknown = [name for name in asked if name not in known]
    if not unknown:
        return None
    listed = ", ".join(sorted(known)[:MAX_KNOWN]) or "none"
    message = f"There is no such parameter; there is {listed}"
    return InvalidFieldsError([{"loc": ("query", name), "msg": message, "type": "unknown"} for name in unknown])


def _places_of(request: Request) -> list[Place]:
    """Return the route of a request with the dependencies of where it is included: all its places, if nobody knows."""
    scope = request.scope
    route: APIRoute = scope["route"]
    # Newer versions note which place it is; older ones copy a route to each place where it is included.
    noted = (scope.get("fastapi") or {}).get(NOTED)
    if getattr(noted, "original_route", None) is route:
        return [noted]
    walked = included_routes(scope["app"].routes)
    return [place for place in walked if getattr(place, "original_route", place) is route] or [route]


def _overrides(place: Place) -> Overrides:
    """Return the dependencies that the application replaces, as tests do."""
    return getattr(place.dependency_overrides_provider, "dependency_overrides", None) or {}


def _names_of(dependant: Dependant, overrides: Overrides) -> Iterator[str]:
    """Yield the parameters that a dependency, and those that it depends on, take."""
    for field in dependant.query_params:
        model = _model_of(field.field_info.annotation)
        if model is None:
            yield from _names_of_field(field.name, field.field_info)
            continue
        if model.model_config.get("extra") == "allow":
            raise _AnyNameError
        for name, info in model.model_fields.items():
            yield from _names_of_field(name, info)
            if model.model_config.get("populate_by_name") or model.model_config.get("validate_by_name"):
                yield name
    call: object = dependant.call
    scheme = getattr(call, "model", None) if isinstance(call, SecurityBase) else None
    if getattr(scheme, "in_", None) is APIKeyIn.query:
        yield str(getattr(scheme, "name", ""))
    for inner in dependant.dependencies:
        used = overrides.get(inner.call)
        yield from _names_of(inner if used is None else get_dependant(path=inner.path or "", call=used), overrides)


def _model_of(annotation: object) -> type[BaseModel] | None:
    """Return the model whose fields are parameters, if there is one."""
    kinds = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


def _names_of_field(name: str, info: FieldInfo) -> set[str]:
    """Return the names that a value may have: its aliases, else its own."""
    alias = info.validation_alias
    choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
    names = {str(choice.path[0]) if isinstance(choice, AliasPath) else choice for choice in choices}
    found = {given for given in (*names, info.alias) if given is not None}
    return found or {name}
