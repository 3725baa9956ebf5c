"""Client text costs linear time: each parser is fed growing repeats, each pattern is taken to pieces."""

import gc
import importlib
import inspect
import pkgutil
import re
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import combinations, product
from types import ModuleType
from typing import Any, get_type_hints

import pytest
from starlette.datastructures import Headers

import fastapi_filestore
from fastapi_filestore.errors import FilestoreError
from tests.security.parsers import CAPS, PARSERS, Parser
from tests.security.patterns import is_linear

SPECIAL = ' \t";\\,%=()'
UNITS = [*SPECIAL, *"<>[]{}':/.-*!a0\n", *map("".join, combinations(SPECIAL, 2)), "a;", "a=b;", '\\"', "<!a>", "%41"]
SIZE, FACTOR, MOST = 4096, 8, 16
UNMEASURABLE = 0.002
"""Seconds for 32 KiB that anything more than linear would exceed many times, memchr() included."""

HOPELESS = 1.0
"""Seconds after which nobody measures again."""

CLEARLY = 12
"""Times as much that nothing but linear time costs: quadratic would be 64."""

SEARCHED = {
    "file_object.metadata.NO_TEXT",
    "file_object.record.HALF_A_PAIR",
    "intake.header_parameters._ESCAPED",
    "intake.header_parameters._BEYOND_ASCII",
    "intake.types.sniffing._PDF_HEADER",
    "intake.types.sniffing._PDF_OBJECT",
    "storage.local.folder.SURROGATE",
    "storage.obstore.opening.region.ENDPOINT",
    "storage.failures.report.ACTION",
    "storage.failures.report.CODE",
    "storage.failures.report.CULPRIT",
    "storage.failures.report.NUMBER",
    "storage.failures.report.QUOTED",
    "storage.failures.report.REGION",
    "storage.failures.report.STATUS",
    "storage.failures.report.VARIANT",
    "web.serving.conditions._ENTITY_TAG",
    "web.paths._ENCODED_TOKEN",
    "web.paths._TOKEN",
    "web.refused_start._OURS",
    "web.serving.zip_names._FORBIDDEN",
}
"""Patterns that are looked for from every place of a text; all others are matched at one place."""

MATCHED = {
    "intake.digests._MEMBER",
    "intake.types.sniffing._ELEMENT",
    "intake.types.sniffing._HTML",
    "intake.types.media_types._RANGE",
    "intake.folders._OF_A_DISK",
    "intake.names._MEDIA_TYPE",
    "intake.names._NAMELESS",
    "intake.header_parameters._ENDS",
    "intake.header_parameters._NAME",
    "intake.header_parameters._PIECE",
    "intake.types.sniffing._WRITTEN_PDF",
    "intake.header_parameters._SPACE",
    "intake.header_parameters._TO_QUOTE",
    "intake.header_parameters._ENCODED_WORD",
    "intake.header_parameters._EXTENDED",
    "web.serving.headers._OF_DISK",
    "web.serving.headers._SHA256",
    "web.serving.ranges._SPEC",
    "web.serving.zip_names._DEVICE",
    "web.paths._SANE",
    "web.routes.tus.PREFIX",
    "web.tus_fields._NUMBER",
    "web.tus_fields._DIGITS",
    "web.tus_fields._SHA256",
}
"""Patterns of the floors that clients talk to, which are matched at one place."""

NOT_OF_A_CLIENT = {
    "intake.folders.without_paths": "names of fields, of which there are few",
    "intake.digests.misstored": "quotes the name of one file, cut",
    "intake.no_field.no_field": "names of the application's",
    "intake.names.types_by_kind": "names of ours",
    "intake.types.special_cases.is_case_of": "a type of at most 255 characters, as in the next ones",
    "intake.types.special_cases.is_known": "such a type",
    "intake.types.special_cases.is_said_of": "such types",
    "intake.types.special_cases.is_unmistakable": "such a type",
    "intake.types.special_cases.is_in_same_container": "such types",
    "web.receiving.form_fields.names_of": "a name of the application's",
    "web.serving.redirects.response_elsewhere": "headers of ours",
    "web.serving.headers.shown_tag": "a tag of a store",
    "web.routes.columns.columns_of": "a name of the application's",
    "web.routes.resource.resource_of": "a name of the application's",
    "web.routes.readiness.readiness_router": "a path of the application's",
    "web.routes.openapi.parameters.header_parameters": "names of ours",
    "web.routes.operations.with_article": "names of models",
    "web.routes.operations.name_operations": "a class's name",
    "web.routes.operations.named": "names of ours",
    "web.routes.upload_parts.begin_direct_parts": "a path of ours, and a column's name",
    "web.routes.upload_parts.own_uploads": "ids, which are compared",
    "web.routes.operations.plural": "such a name",
    "web.routes.router.file_router": "names of the application's",
    "web.routes.claims.receiving_file": "a column of the application's",
    "web.routes.claims.receiving_files": "such a column",
    "web.routes.uploaded.uploaded_file": "such a column",
    "web.routes.uploads.show_upload": "paths of ours",
    **{f"web.routes.row.add_{name}": "paths of ours" for name in ("read", "update", "delete")},
    "web.serving.zip_downloads.zip_download": "a name of the application's",
    "web.serving.options.require_word": "such names",
    "web.wiring.require_dependency": "such names",
    **{f"web.routes.tus.{name}": "an id, of those there are" for name in ("append", "ask", "end", "place_of")},
    "web.paths.path_of_route": "the name of a route of ours",
    "web.wiring.mapped_class": "such names",
    "web.wiring.require_schema": "such names",
    "web.routes.row.order_of": "parsed JSON",
    "web.routes.row.serve_file": "a path and names of ours",
    "web.receiving.uploads.file_as_body": "a media type",
    "web.receiving.uploads.has_no_file": "names of fields",
    "web.routes.listed.is_position": "a segment shorter than an id",
    "web.routes.listed.refuse_position": "a segment shorter than an id",
}
"""Functions that take text which no client writes."""


def modules() -> Iterator[ModuleType]:
    """Yield every module of the library."""
    for module in pkgutil.walk_packages(fastapi_filestore.__path__, "fastapi_filestore."):
        yield importlib.import_module(module.name)


def patterns() -> dict[str, re.Pattern[Any]]:
    """Return every compiled pattern of the library by its place."""
    return {
        f"{module.__name__.removeprefix('fastapi_filestore.')}.{name}": value
        for module in modules()
        for name, value in vars(module).items()
        if isinstance(value, re.Pattern)
    }


def seconds(parser: Parser, text: str) -> float:
    """Return the time of the processor that a text costs."""
    gc.disable()  # which looks at everything that the other tests left behind
    started = time.process_time()
    try:
        with suppress(FilestoreError, ValueError, RecursionError):
            parser(text)
        return time.process_time() - started
    finally:
        gc.enable()


def slow_units(parser: Parser, prefix: str) -> list[tuple[str, str]]:
    """Return the repeats behind a beginning that cost more than linear time."""
    slow: list[tuple[str, str]] = []
    for unit, suffix in [*product(UNITS, "x"), *product(SPECIAL, ("",))]:
        short, long = (prefix + (unit * (SIZE * factor))[: SIZE * factor] + suffix for factor in (1, FACTOR))
        if (first := seconds(parser, long)) < UNMEASURABLE:
            continue
        if first < CLEARLY * (once := seconds(parser, short)):
            continue
        if first > HOPELESS and first > MOST * once:
            return [*slow, (unit, suffix)]
        # A neighbour on the machine can slow one of them down, but not make what is quadratic look linear.
        if all(growth(parser, short, long) > MOST for _ in range(3)):
            slow.append((unit, suffix))
    return slow


def growth(parser: Parser, short: str, long: str) -> float:
    """Return how many times as much the longer text costs, each at the best of five times, taken in turn."""
    times = [(seconds(parser, short), seconds(parser, long)) for _ in range(5)]
    return min(time for _, time in times) / min(time for time, _ in times)


@pytest.mark.parametrize("name", PARSERS)
def test_every_parser_is_linear(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight times as much of any character or pair, bare or behind a good beginning, costs at most 16 times as much."""
    for module, cap in CAPS:
        monkeypatch.setattr(module, cap, sys.maxsize)
    parser, prefixes = PARSERS[name]

    assert [(prefix, slow) for prefix in ("", *prefixes) if (slow := slow_units(parser, prefix))] == []


@pytest.mark.parametrize("name", patterns())
def test_every_pattern_is_linear(name: str) -> None:
    """No pattern has two repeats that can share out the same characters, nor one that a search reads over and over."""
    assert is_linear(patterns()[name], searched=name in SEARCHED)


@pytest.mark.parametrize(
    ("pattern", "searched", "expected"),
    [
        (r"\s*;?\s*", False, False),
        (r"a*a*", False, False),
        (r"(a+)+b", False, False),
        (r"(?:a*b?)*", False, False),
        (r".*#.*!", False, False),
        (r"(?:;[^,]*)?\s*(?:,|$)", False, False),
        (r"\s*x", True, False),
        (r"x[^y]*y", True, False),
        (r"\s*x", False, True),
        (r"\s*(?:;\s*)?", False, True),
        (r'"(?:[^"\\]|\\.)*"', False, True),
        (r'"[^"]*"', True, True),
    ],
)
def test_slow_patterns_are_found(pattern: str, searched: bool, expected: bool) -> None:
    """Those that are known to be quadratic, or worse, are told from their linear cousins."""
    assert is_linear(re.compile(pattern, re.DOTALL), searched=searched) is expected


def test_no_pattern_is_new() -> None:
    """A pattern of the floors that clients talk to is said here to be searched for, or matched."""
    spoken = {name for name in patterns() if name.startswith(("intake.", "web."))}

    assert spoken - SEARCHED == MATCHED


def test_no_parser_is_new() -> None:
    """A function of those floors that takes text is in the table, or said to take none of a client's."""
    found = {
        f"{module.__name__.removeprefix('fastapi_filestore.')}.{name}"
        for module in modules()
        if module.__name__.startswith(("fastapi_filestore.intake.", "fastapi_filestore.web."))
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and not name.startswith("_") and _takes_text(function)
    }

    assert found - {name.partition(" ")[0] for name in PARSERS} == NOT_OF_A_CLIENT.keys()


def _takes_text(function: Any) -> bool:
    hints = get_type_hints(function)
    hints.pop("return", None)
    return any(hint in {str, bytes, str | None, Headers, Mapping[str, str]} for hint in hints.values())
