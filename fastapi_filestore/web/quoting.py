"""Limit what an answer quotes of what a client sent: a small request never makes a large answer."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

MAX_ERRORS = 20
"""Wrong values that one answer names."""
MAX_ERRORS_BYTES = 32 * 1024
"""All of them together; an answer is at most 64 KiB."""
MAX_DETAIL = 1000
MAX_QUOTED = 200
"""Characters of a text in an answer, of which JSON may make twelve times as many."""
MAX_PLACES = 8
"""Steps to a wrong value inside of others."""


def cut(text: str, length: int) -> str:
    """Return a text, or its beginning if it is longer than `length` characters."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def field_problems(problems: Sequence[Mapping[str, Any]]) -> dict[str, object]:
    """Return the first of the problems of fields, and how many more there are."""
    shown: list[dict[str, object]] = []
    room = MAX_ERRORS_BYTES
    for problem in problems[:MAX_ERRORS]:
        steps = [step if isinstance(step, int) else cut(str(step), MAX_QUOTED // 2) for step in problem["loc"]]
        texts = {name: cut(str(problem[name]), MAX_QUOTED) for name in ("msg", "type")}
        quoted: dict[str, object] = {"loc": steps[:MAX_PLACES], **texts}
        room -= len(json.dumps(quoted))
        if room < 0:
            break
        shown.append(quoted)
    more = len(problems) - len(shown)
    return {"errors": shown, **({"more_errors": more} if more else {})}
