"""Name and describe operations for those who generate clients: `create_document`, `list_documents`.

An `operation_id` of ours would win over the application's own `generate_unique_id_function`; a default of ours
does not, so that is what gives the names.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import chain, count
from typing import Final
from weakref import WeakKeyDictionary

from fastapi import APIRouter, FastAPI
from fastapi.datastructures import Default
from fastapi.routing import APIRoute

from fastapi_filestore.web.known_queries import api_routes

OPERATIONS: Final = {
    "create": ("create_{one}", "What comes is one unit of work: afterwards file and row are there, or neither is."),
    "list": ("list_{many}", "Pages end where `next_cursor` is null; give it as `after` for the next one."),
    "read": ("read_{one}", "The file is described, with the URL that serves its bytes."),
    "update": ("update_{one}", "What is left out stays as it is."),
    "delete": ("delete_{one}", "Its file goes as soon as the row is gone."),
    "download": ("download_{one}", "Ranges and conditions are honoured; the type is that of the file."),
    "download_head": ("read_{one}_headers", "They are those of the download, whose bytes are not read."),
    "replace": ("replace_{one}_file", "The old file goes as soon as the row has the new one."),
    "begin_upload": (
        "begin_{one}_upload",
        "Store the file where `direct` says, or send it in parts by tus 1.0. A row takes it by its id, as `upload`.",
    ),
    "complete_upload": (
        "complete_{one}_upload",
        "A row that takes an upload has it judged as well: this says ahead of that what is wrong with it.",
    ),
}
"""By the end of a route's name: the operation's, and what is worth knowing beyond the summary."""


def name_operations(router: APIRouter, model: str) -> None:
    """Give the routes of a model's router the names and descriptions of their operations."""
    one = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", model).lower()
    for route in router.routes:
        if isinstance(route, APIRoute):
            action = route.name.removeprefix(f"{model.lower()}_")
            verb, _, rest = action.partition("_")
            template, description = OPERATIONS.get(action, ("_".join(filter(None, (verb, "{one}", rest))), ""))
            name = route.unique_id = template.format(one=one, many=plural(one))
            route.generate_unique_id_function = named(name, one, route.path_format)
            route.description = route.description or description or f"{route.summary}."


def named(name: str, one: str, path: str) -> Callable[[APIRoute], str]:
    """Return what names an operation unless the application does: the `generate_unique_id_function` of its route."""
    return Default(OperationName(name, one, path))


@dataclass(frozen=True, slots=True)
class OperationName:
    """Names an operation wherever its router is included, differently from all others of the application.

    At the first prefix of a model it is short; at a second one, or if somebody else has it, the prefix is in it.

    Attributes:
        name: The short name.
        one: What the operation is of: the model.
        path: The path of its route below the prefix.
    """

    name: str
    one: str
    path: str

    def __call__(self, route: APIRoute) -> str:
        """Return the name at the place where a route is."""
        app = route.dependency_overrides_provider
        if not isinstance(app, FastAPI):  # of a router that no application has included yet
            return self.name
        names = _NAMES.setdefault(app, Names())
        prefix = route.path_format.removesuffix(self.path)
        words = re.sub(r"\W+", "_", prefix).strip("_")
        long = f"{self.name}_at_{words}" if words else self.name
        short = [self.name] if names.first_prefixes.setdefault(self.one, prefix) == prefix else []
        place, others = f"{route.methods} {route.path_format}", names.others(app)
        return next(
            name
            for name in chain(short, [long], (f"{long}_{number}" for number in count(2)))
            if name not in others and names.places.setdefault(name, place) == place
        )


@dataclass(slots=True)
class Names:
    """What operations of an application are called, whichever Filestore they are of."""

    first_prefixes: dict[str, str] = field(default_factory=dict[str, str])
    """Where a model was included first."""
    places: dict[str, str] = field(default_factory=dict[str, str])
    """Which method and path has a name."""
    of_others: frozenset[str] = frozenset()
    """The names of operations that the application has beside ours."""
    known_routes: int = -1
    """How many routes the application had when these names were looked for."""

    def others(self, app: FastAPI) -> frozenset[str]:
        """Return the names of operations that are not ours."""
        if self.known_routes != len(app.routes):
            routes = [route for route in api_routes(app.routes) if not is_named(route)]
            self.of_others = frozenset(route.operation_id or route.unique_id for route in routes)
            self.known_routes = len(app.routes)
        return self.of_others


_NAMES: WeakKeyDictionary[FastAPI, Names] = WeakKeyDictionary()


def is_named(route: APIRoute) -> bool:
    """Tell whether an operation is one of ours."""
    return isinstance(getattr(route.generate_unique_id_function, "value", None), OperationName)


def plural(word: str) -> str:
    """Return the plural of an English noun, as far as rules go."""
    if re.search("[^aeiou]y$", word):
        return f"{word[:-1]}ies"
    return f"{word}es" if re.search("(s|x|z|ch|sh)$", word) else f"{word}s"


def with_article(word: str) -> str:
    """Return an English noun behind its indefinite article, as far as rules go."""
    is_vowel = re.match("[aeiou]|hour|honest|heir", word) and not re.match(
        "eu|ewe|one|once|uni(?!n)|us[aeu]|ut[ei]", word
    )
    return f"an {word}" if is_vowel else f"a {word}"


def describe_tags(app: FastAPI, texts: Iterable[tuple[str, str]]) -> None:
    """Describe tags in an application's OpenAPI document that it does not describe itself."""
    described = list(app.openapi_tags or ())
    known = {tag["name"] for tag in described}
    described += [{"name": name, "description": text} for name, text in texts if name not in known]
    app.openapi_tags = described or None
