"""Name and describe operations for those who generate clients: `create_document`, `list_documents`.

An `operation_id` of ours would win over the application's own `generate_unique_id_function`; a default of ours
does not, so that is what gives the names.
"""

import re
from collections.abc import Callable, Iterable, MutableMapping
from itertools import count
from typing import Final

from fastapi import APIRouter, FastAPI
from fastapi.datastructures import Default
from fastapi.routing import APIRoute

Prefixes = MutableMapping[str, list[str]]
"""The prefixes by which a model was included, by its name; at the first one its operations have the short names.

Behind the names of operations, such as `list_albums()`, is what has them.
"""

OPERATIONS: Final = {
    "create": ("create_{one}", "What comes is one unit of work: afterwards file and row are there, or neither is."),
    "list": ("list_{many}", "Pages end where `next_cursor` is null; give it as `after` for the next one."),
    "read": ("read_{one}", "The file is described, with the URL that serves its bytes."),
    "update": ("update_{one}", "What is left out stays as it is."),
    "delete": ("delete_{one}", "Its file goes as soon as the row is gone."),
    "download": ("download_{one}", "Ranges and conditions are honoured; the type is that of the file."),
    "download_head": ("read_{one}_headers", "They are those of the download, whose bytes are not read."),
    "replace": ("replace_{one}_file", "The old file goes as soon as the row has the new one."),
    "upload_url": ("sign_{one}_upload", "What is stored there becomes the file of a row that is written later."),
}
"""By the end of a route's name: the operation's, and what is worth knowing beyond the summary."""


def name_operations(router: APIRouter, model: str, prefixes: Prefixes) -> None:
    """Give the routes of a model's router the names and descriptions of their operations.

    Where a model is included by a second prefix, its operations there have the prefix in their names as well.
    """
    one = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", model).lower()
    for route in router.routes:
        if isinstance(route, APIRoute):
            action = route.name.removeprefix(f"{model.lower()}_")
            verb, _, rest = action.partition("_")
            template, description = OPERATIONS.get(action, ("_".join(filter(None, (verb, "{one}", rest))), ""))
            name = template.format(one=one, many=plural(one))
            own_path = re.sub(r"{.*?}", "{}", route.path_format)
            name = _claim(name, f"{one} {min(route.methods or [''])} {own_path}", prefixes)
            name_of = _naming(name, route.path_format, one, prefixes)
            route.generate_unique_id_function, route.unique_id = Default(name_of), name_of(route)
            route.description = route.description or description or f"{route.summary}."


def _claim(name: str, claimant: str, prefixes: Prefixes) -> str:
    """Number a name that an operation of another model, or of another column, has already."""
    numbered = (name if number == 1 else f"{name}_{number}" for number in count(1))
    return next(claimed for claimed in numbered if prefixes.setdefault(f"{claimed}()", [claimant]) == [claimant])


def _naming(name: str, own_path: str, one: str, prefixes: Prefixes) -> Callable[[APIRoute], str]:
    def name_of(route: APIRoute) -> str:
        prefix = route.path_format.removesuffix(own_path)
        if not prefix:
            return name
        places = prefixes.setdefault(one, [])
        if prefix not in places:
            places.append(prefix)
        words = [re.sub(r"\W+", "_", place).strip("_") for place in places[: places.index(prefix) + 1]]
        number = words.count(words[-1])  # of those that differ in punctuation alone
        return name if len(words) == 1 else f"{name}_at_{words[-1]}{f'_{number}' if number > 1 else ''}"

    return name_of


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
