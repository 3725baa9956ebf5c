"""Conditional requests of RFC 9110, section 13: validators and headers in, what to answer out."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum

MAX_DATE = 64
"""Characters of a date; the longest form of section 5.6.7 has 33."""
_ENTITY_TAG = re.compile(r'(W/)?("[\x21\x23-\x7e\x80-\xff]*")')  # section 8.8.3


class Outcome(Enum):
    """The result of a request's conditions."""

    PROCEED = 200
    NOT_MODIFIED = 304
    PRECONDITION_FAILED = 412


@dataclass(frozen=True, slots=True)
class Validators:
    """The validators of one state of a representation: a strong entity tag, quotes included, and a date.

    `alias` is another strong tag of that state: the store's own, which its clients know it by.
    """

    etag: str | None = None
    last_modified: datetime | None = None
    alias: str | None = None

    def has_tag(self, tag: str) -> bool:
        """Tell whether a strong entity tag is one of this state."""
        return tag in (self.etag, self.alias)

    @property
    def date(self) -> datetime | None:
        """The date as headers have it, in whole seconds."""
        return None if self.last_modified is None else self.last_modified.astimezone(UTC).replace(microsecond=0)


def evaluate(headers: Mapping[str, str], validators: Validators, *, safe: bool = True) -> Outcome:
    """Return what the conditions come to, in the order of section 13.2.2; `safe` is GET and HEAD."""
    if (match := headers.get("if-match")) is not None:
        if not _any_match(match, validators, weak=False):
            return Outcome.PRECONDITION_FAILED
    elif (since := _date(headers.get("if-unmodified-since"))) and validators.date and validators.date > since:
        return Outcome.PRECONDITION_FAILED
    if (none_match := headers.get("if-none-match")) is not None:
        if _any_match(none_match, validators, weak=True):
            return Outcome.NOT_MODIFIED if safe else Outcome.PRECONDITION_FAILED
    elif safe and (since := _date(headers.get("if-modified-since"))) and validators.date and validators.date <= since:
        return Outcome.NOT_MODIFIED
    return Outcome.PROCEED


def range_applies(headers: Mapping[str, str], validators: Validators) -> bool:
    """Tell whether a Range header is to be honoured: If-Range names the present state, strongly (section 13.1.5).

    A date never does: nobody knows that the file did not change twice in that second (section 8.8.2.2).
    """
    condition = headers.get("if-range")
    return condition is None or validators.has_tag(condition.strip())


def _any_match(header: str, validators: Validators, *, weak: bool) -> bool:
    if header.strip() == "*":
        return True
    tags = _ENTITY_TAG.finditer(header)
    return any(validators.has_tag(tag[2]) and (weak or tag[1] is None) for tag in tags)


def _date(text: str | None) -> datetime | None:
    # A date that is no date is as if it were not there (section 13.1.3).
    try:
        date = None if text is None or len(text) > MAX_DATE else parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return None if date is None else date.replace(tzinfo=date.tzinfo or UTC)
