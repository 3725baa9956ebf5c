"""Read a form that can hold no files, as pages without a file input and most programs send it."""

from collections.abc import Mapping
from urllib.parse import parse_qsl

from fastapi import Request

from fastapi_filestore.errors import InvalidFieldsError, MalformedUploadError, UploadTooLargeError
from fastapi_filestore.intake.forms.limits import FormLimits
from fastapi_filestore.web.receiving.bodies import whole_body

URLENCODED = "application/x-www-form-urlencoded"


async def urlencoded_fields(request: Request, limits: FormLimits) -> Mapping[str, str]:
    """Read the fields of a request's form.

    Raises:
        MalformedUploadError: It has too many fields, or is no UTF-8.
        UploadTooLargeError: A field is too large, or all of them.
        InvalidFieldsError: A field comes twice.
    """
    body = await whole_body(request, limits.json_body_size, pace=limits.pace)
    return read_urlencoded(body, limits)


def read_urlencoded(body: bytes, limits: FormLimits) -> Mapping[str, str]:
    """Return the fields of a form; it raises what `urlencoded_fields` does."""
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=limits.fields, errors="strict")
    except ValueError:
        raise MalformedUploadError(
            f"The form can't be read: send UTF-8, and at most {limits.fields:,} fields."
        ) from None
    fields = dict[str, str]()
    for name, value in pairs:
        if name in fields:
            raise InvalidFieldsError([{"loc": (name,), "msg": "The field is sent twice", "type": "duplicate"}])
        if (size := len(value.encode())) > limits.field_size:
            raise UploadTooLargeError(f"field {name!r}", limit=limits.field_size, actual=size)
        fields[name] = value
    return fields
