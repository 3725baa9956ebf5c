"""Tell which media types can be said of one file: by its sender, by its name, and by its bytes.

Types are compared by their canonical names. Many a type is a special case of another: what its bytes show is the
general one, as a zip archive is what shows of an office document. No list of types is complete, so one that nobody
here has heard of contradicts nothing, but a page or picture that a browser would run.
"""

from fastapi_filestore.intake.names import FALLBACK_TYPE
from fastapi_filestore.intake.types.media_types import canonical_type, is_unspecific
from fastapi_filestore.intake.types.sniffing import OLE, TEXT
from fastapi_filestore.intake.types.special_cases import (
    COMPRESSED,
    is_case_of,
    is_in_same_container,
    is_known,
    is_said_of,
    is_unmistakable,
)

CONTAINERS = frozenset(
    {"application/zip", "application/gzip", "application/xml", "application/vnd.sqlite3", canonical_type(OLE)}
)
"""What formats of applications are made of that nobody has a table of."""

SCRIPTABLE = frozenset({"application/xhtml+xml", "application/xml", "image/svg+xml", "text/html"})
"""What a browser may run; never what is meant by another kind of text."""

_RUNS = SCRIPTABLE - {"application/xml"}
_MEDIA = ("audio/", "font/", "image/", "video/")


def types_agree(declared: str | None, sniffed: str | None, named: str | None) -> bool:
    """Tell whether a file can be what its sender declares, its first bytes show and its name suggests, all at once.

    None, application/octet-stream and their like say nothing, but for the bytes, where it means that they are of no
    known type.
    """
    shown = None if sniffed is None else canonical_type(sniffed)
    claimed, suggested = (
        None if claim is None or is_unspecific(claim) else canonical_type(claim) for claim in (declared, named)
    )
    if claimed == TEXT != suggested and shown in _RUNS:  # which says less: it is kept, and so no browser runs the page
        claimed = None
    claims = [claim for claim in (claimed, suggested) if claim is not None]
    known = [claim for claim in claims if is_known(claim)]
    if len(known) == len((claimed, suggested)) and is_case_of(known[0], TEXT):
        # The name's may make a claim of text clearer: text of a kind, or packed as `a.csv.gz` is.
        is_packed = known[1] == shown and shown in COMPRESSED
        is_of_a_kind = known[0] == TEXT and is_case_of(known[1], TEXT) and known[1] not in SCRIPTABLE
        known = known[1:] if is_packed or is_of_a_kind else known
    if shown is not None and not all(_shows(shown, claim) for claim in known):
        return False
    if claims and not known:
        return shown not in _RUNS
    return len(known) <= 1 or _can_be_one_file(known[0], known[1], shown)


def ranged_type(kept: str, sniffed: str | None) -> str:
    """Return the type that decides whether a file is of a range such as `image/*`: the one that it is kept with.

    Of a type that nobody knows, its bytes do, if they are plainly of one: whoever asks for pictures wants no program.
    """
    if sniffed is None or is_known(canonical_type(kept)):
        return kept
    plain = canonical_type(sniffed) not in CONTAINERS | {TEXT} or kept.startswith(_MEDIA)
    return sniffed if plain and sniffed not in {TEXT, FALLBACK_TYPE} else kept


def _can_be_one_file(claim: str, other: str, sniffed: str | None) -> bool:
    """Tell whether two claimed types can be said of one file, whose bytes are of the sniffed one."""
    if claim == other or is_said_of(claim, other) or is_said_of(other, claim) or is_in_same_container(claim, other):
        return True
    texts = sniffed == TEXT or (is_case_of(claim, TEXT) and is_case_of(other, TEXT))
    by_habit = sniffed is not None and any(is_said_of(kind, sniffed, by_habit=True) for kind in (claim, other))
    return (texts or by_habit) and not SCRIPTABLE & {claim, other}


def _shows(sniffed: str, claim: str) -> bool:
    """Tell whether a file of a claimed type that is known may begin with bytes of the sniffed one."""
    if claim == sniffed or is_said_of(claim, sniffed):
        return not (claim == TEXT and sniffed in _RUNS)
    if claim != TEXT and is_case_of(sniffed, claim):
        return True
    # They may be of a claimed type that nobody knows the signature of.
    if is_unmistakable(claim):
        return False
    if sniffed == TEXT:
        return not claim.startswith(_MEDIA)
    if sniffed in CONTAINERS:
        return claim.startswith(("application/", "model/"))
    return sniffed == FALLBACK_TYPE
