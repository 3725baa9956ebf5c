"""Header fields of a request, as one value each."""

from starlette.datastructures import Headers


def combined(headers: Headers) -> dict[str, str]:
    """Return the fields by name in lower case; several lines of one name are one list (RFC 9110, section 5.3)."""
    fields: dict[str, str] = {}
    for name, value in headers.items():
        fields[name] = f"{fields[name]}, {value}" if name in fields else value
    return fields
