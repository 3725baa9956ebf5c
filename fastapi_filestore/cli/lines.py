"""Print what a command found: a line for each fact, as JSON or for a person."""

import json
from collections.abc import Mapping
from typing import Any


def print_json(facts: Mapping[str, Any]) -> None:
    """Print facts as one JSON object on a line."""
    print(json.dumps(facts, default=str), flush=True)


def print_summary(done: str, facts: Mapping[str, Any], *, as_json: bool) -> None:
    """Print what it came to, in the last line: what was done, and all figures by their names."""
    if as_json:
        print_json({"kind": "summary", **facts})
    else:
        print("  ".join((done, *(f"{name}: {value}" for name, value in facts.items()))), flush=True)


def print_object(facts: Mapping[str, Any], *, as_json: bool) -> None:
    """Print what became of an object as JSON, or as a person reads it: kind, place, row, and what is wrong."""
    if as_json:
        print_json(facts)
        return
    row, swept = facts.get("row"), "abandoned" if facts.get("is_upload") else "deleted"
    parts = [
        facts.get("kind", "failed" if facts.get("error") else swept),
        f"{facts['backend']}:{facts['path'] or ''}",
        f"{row['table']}.{row['column']} {', '.join(map(str, row['identity']))}" if row else "",
        facts.get("detail") or facts.get("error") or "",
        "(fixed)" if facts.get("fixed") else "",
    ]
    print("  ".join(part for part in parts if part), flush=True)
