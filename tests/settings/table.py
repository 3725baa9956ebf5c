"""The table of docs/settings.md of variables, made from the settings; `python -m tests.settings.table` writes it."""

from collections.abc import Iterator
from html import escape
from itertools import chain
from pathlib import Path

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from fastapi_filestore.settings import BackendSettings, FilestoreSettings, format_size
from fastapi_filestore.settings.backend import FAMILIES
from fastapi_filestore.settings.filestore import DEFAULT_URL
from fastapi_filestore.storage.backend import READ_TIMEOUT
from fastapi_filestore.storage.local.modes import Modes
from fastapi_filestore.storage.obstore.opening.client import CONNECT_TIMEOUT, MAX_RETRIES, RETRY_TIMEOUT

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"
BEGIN, END = "<!-- settings:begin -->", "<!-- settings:end -->"
DEFAULTS = {
    "allow_invalid_certificates": "false",
    "connect_timeout": f"{CONNECT_TIMEOUT.total_seconds():g}",
    "durable": "true",
    "file_mode": f"{Modes().file:04o}",
    "folder_mode": f"{Modes().folder:04o}",
    "max_retries": f"{MAX_RETRIES}",
    "mkdir": "true",
    "retry_timeout": f"{RETRY_TIMEOUT.total_seconds():g}",
    "timeout": f"{READ_TIMEOUT.total_seconds():g}",
}
"""What is used where an option of a store is not set."""
OF_A_BACKEND = "FILESTORE_BACKENDS__<NAME>__"
INTRODUCTION = (
    "Every setting is a variable of the environment, of `.env`, or a file of that name in the folder "
    "`FILESTORE_SECRETS_DIR`; the first of these wins. A misspelt name or a wrong value stops the start."
)


def render() -> str:
    """Return the section between the markers."""
    url = {"url": BackendSettings.model_fields["url"]}
    others = {name: BackendSettings.model_fields[name] for name in ("downloads", "public_url")}
    parts = [
        INTRODUCTION,
        _table("Setting", _rows(_fields_but_backends(), prefix="FILESTORE_")),
        "Each backend has a `<NAME>` of your choice:",
        _table(
            "Backend",
            chain(
                _rows(url, prefix=OF_A_BACKEND, default=f"`{DEFAULT_URL}`, named `DEFAULT`"),
                _rows(others, prefix=OF_A_BACKEND),
            ),
        ),
        f"<details>\n<summary>Options of each store, all behind <code>{escape(OF_A_BACKEND)}</code></summary>",
        *(_table(_title(family), _rows(family.model_fields, prefix="")) for family in FAMILIES),
        "</details>",
    ]
    return "\n\n".join(parts)


def replace_section(text: str) -> str:
    """Return the page with its section as it should be."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{render()}\n{END}{after or chr(10)}"


def _fields_but_backends() -> dict[str, FieldInfo]:
    return {name: field for name, field in FilestoreSettings.model_fields.items() if name != "backends"}


def _title(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").rstrip(".")


def _table(title: str, rows: Iterator[str]) -> str:
    return "\n".join((f"| {title} | Meaning | Default |", "| --- | --- | --- |", *rows))


def _rows(fields: dict[str, FieldInfo], *, prefix: str, default: str = "") -> Iterator[str]:
    for name, field in fields.items():
        meaning = " ".join((field.description or "").split())
        yield f"| `{prefix}{name.upper()}` | {meaning} | {default or _default(name, field)} |"


def _default(name: str, field: FieldInfo) -> str:
    match field.default:
        case None if name in DEFAULTS:
            return f"`{DEFAULTS[name]}`"
        case None | () | "":
            return ""
        case bool() as flag:
            return f"`{str(flag).lower()}`"
        case int() as size if name.endswith(("size", "memory", "rate")):
            return f"`{format_size(size)}`"
        case value:
            return f"`{value}`"


if __name__ == "__main__":
    PAGE.write_text(replace_section(PAGE.read_text()))
