"""Name a file that came as the body of a request, without a word on its name."""

from typing import NamedTuple

from fastapi_filestore.intake.names import FALLBACK_NAME, guess_content_type, guess_extension
from fastapi_filestore.intake.types.media_types import canonical_type, is_unspecific


class Replaced(NamedTuple):
    """The name and the type of a file that is to be replaced."""

    filename: str
    content_type: str


def name_of_body(declared: str | None, replaced: Replaced | None) -> str:
    """Return the name of the file that it replaces, if that fits its type; else `file`, with the type's ending.

    A type that says nothing has no name that fits, since a name would say more than the client did.
    """
    if declared is None or is_unspecific(declared):
        return FALLBACK_NAME
    kind = canonical_type(declared)
    if replaced is not None:
        named = guess_content_type(replaced.filename)
        if kind == canonical_type(replaced.content_type if is_unspecific(named) else named):
            return replaced.filename
    return FALLBACK_NAME + guess_extension(kind)
