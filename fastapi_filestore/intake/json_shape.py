"""The shape of JSON, told from its bytes before anybody parses it: how many values, and how deep they are nested.

Whatever a parser has read of a text that turns out to be no JSON is counted here, too.
"""

from array import array
from itertools import accumulate

from fastapi_filestore.errors import InvalidFieldsError
from fastapi_filestore.intake.limits import FormLimits

_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
"""What each bracket does to the depth, as signed bytes."""
_NO_BRACKETS = bytes(set(range(256)) - set(b"[{]}"))


def check_shape(text: bytes, limits: FormLimits) -> None:
    """Raise `InvalidFieldsError` for JSON of more values than the limits have, or nested deeper, unparsed."""
    bare = _without_texts(text)
    openings = sum(bare.count(bracket) for bracket in (b"[", b"{"))
    # Each value but the first of a list or an object has a comma before it, and each of these a bracket.
    if bare.count(b",") + openings > limits.json_values:
        raise _refused(f"The JSON has more than {limits.json_values:,} values", "too_many_values")
    if openings > limits.json_depth and _depth(bare) > limits.json_depth:
        raise _refused(f"The JSON is nested more than {limits.json_depth:,} levels deep", "too_deep")


def _without_texts(text: bytes) -> bytes:
    # Escapes go first, so that every quote that is left begins a text or ends one.
    return b"".join(text.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')[::2])


def _depth(bare: bytes) -> int:
    return max(accumulate(array("b", bare.translate(_STEPS, _NO_BRACKETS))), default=0)


def _refused(said: str, kind: str) -> InvalidFieldsError:
    return InvalidFieldsError([{"loc": (), "msg": said, "type": kind}])
