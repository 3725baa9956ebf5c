"""What a form holds where its user chose no file: a part that has neither a name nor bytes."""

from typing import Any

from fastapi_filestore.errors import NoFileChosenError
from fastapi_filestore.intake.header_parameters import read_parameters
from fastapi_filestore.storage.content import ContentReader, read_content


def chosen_content(content: object) -> ContentReader:
    """Say how content is to be read.

    Raises:
        NoFileChosenError: It is the upload that frameworks make of an input that was left empty.
        UnsupportedContentError: It is text, or nothing that yields bytes.
    """
    if getattr(content, "filename", None) == "" and getattr(content, "size", None) == 0:
        raise NoFileChosenError(_field_of(content))
    return read_content(content)


def _field_of(upload: Any) -> str | None:
    try:
        return read_parameters(upload.headers["content-disposition"])[1].get("name")
    except (AttributeError, LookupError, TypeError):
        return None
