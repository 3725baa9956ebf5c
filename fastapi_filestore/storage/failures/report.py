"""Read the facts in an error of obstore's or of this system, and never pass on the text that they are in.

obstore says most of what happened in prose only, and its prose may hold request URLs with signatures and tokens in
them. So its text is read for numbers, codes and the names of Rust's variants.
"""

import os
import re
from dataclasses import dataclass
from errno import errorcode
from http import HTTPStatus

STATUS = re.compile(r"status code: (\d{3})")
STATUS_INSIDE = re.compile(r"inner: Response \{\s*status: (\d{3})")
BARE_REDIRECT = "Received redirect without LOCATION"
"""What obstore says instead of an answer's status, code and region: S3 answers so where a bucket is elsewhere."""
CODE = re.compile(
    r"<Code>([\w.]{1,64})</Code>|\(code: ([\w.]{1,64})\)"
    r"|\"reason\"\s*:\s*\"([\w.]{1,64})\"|\"error\"\s*:\s*\"(\w{1,64})\""
)
REGION = re.compile(r"<Region>([a-z0-9-]{1,32})</Region>|expecting '([a-z0-9-]{1,32})'")
ACTION = re.compile(
    r"not authorized to perform:? ([a-z0-9-]{1,32}:\w{1,64})"
    r"|does not have ([\w.]{1,64}) access|[Pp]ermission '([\w.]{1,64})' denied"
)
"""What credentials may not do, as S3 and Google say it: the store asks for it on its own behalf, as for a key's use."""
NUMBER = re.compile(r"\(os error (\d{1,5})\)|\bOs \{\s*code: (\d{1,5}),")
CULPRIT = re.compile(
    r'object with invalid path: (?:Error parsing )?Path "(.{1,1024})"(?:: Encountered illegal| contained empty)',
    re.DOTALL,
)
"""The name of an object in a listing that obstore can't take."""
DETAILS = "\n\nDebug source:"
PATH_PHRASES = ("location {} ", "path {}:", "key {}:")
"""How obstore shows the path of an object, unescaped."""
VARIANT = re.compile(r"\b([A-Z][A-Za-z]{2,40})(?= ?[{(,])|\bkind: ([A-Z][A-Za-z]{2,40})\b")
"""What an error is of, as Rust shows it: `HttpError {`, `kind: Timeout`."""
QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"|[A-Za-z][A-Za-z0-9+.-]{0,15}://\S*')
"""What Rust shows of a text or an address, where anything may be."""
MOST_VARIANTS = 6


@dataclass(frozen=True, slots=True)
class Report:
    """The facts in an error.

    Attributes:
        text: All that it says, to be searched and not to be shown.
        status: The status of the store's answer.
        code: The store's code.
        number: The system's number.
        region: The region that the store names instead of the one it was asked in.
        action: What the store says that the credentials may not do.
        culprit: The name that keeps a listing from being read.
        kind: What the error is called.
        summary: What it says, without its details.
    """

    text: str
    status: int | None = None
    code: str | None = None
    number: int | None = None
    region: str | None = None
    action: str | None = None
    culprit: str | None = None
    kind: str = ""
    summary: str = ""

    @property
    def name(self) -> str | None:
        """The name of the system's number."""
        return None if self.number is None else errorcode.get(self.number, str(self.number))

    @property
    def answer(self) -> list[str]:
        """Status and code of the store's answer, as texts: those that it has."""
        return [str(fact) for fact in (self.status, self.code) if fact]


def read_error(exc: BaseException, path: str | None) -> Report:
    """Return what an error says of the object at a path, or of a whole bucket."""
    if isinstance(exc, OSError) and exc.errno is not None:
        return Report(text="", number=exc.errno, kind=type(exc).__name__)
    summary, _, details = str(exc).partition(DETAILS)
    for phrase in PATH_PHRASES if path else ():
        # A path that looks like an error must not be read as one.
        summary = summary.replace(phrase.format(path), "")
    # What an answer quotes is no number of this system's.
    status, code = _find(STATUS, summary), _find(CODE, summary)
    answered = status is not None or code is not None
    number = None if answered else _find(NUMBER, summary + details)
    if status is None and BARE_REDIRECT in summary:
        status = str(HTTPStatus.MOVED_PERMANENTLY.value)
    elif status is None:  # an error may come in an answer of 200
        status = _find(STATUS_INSIDE, details)
    # The kinds of errors that it is of, outermost first: names of the driver's, and no text of a store.
    names = dict.fromkeys(first or second for first, second in VARIANT.findall(QUOTED.sub("", details)))
    kinds = [name for name in names if name not in {"Some", "None", "Generic", "Custom", "RetryErrorImpl"}]
    return Report(
        text=summary + details,
        status=None if status is None else int(status),
        code=code,
        number=None if number is None else int(number),
        region=_find(REGION, summary),
        action=_find(ACTION, summary),
        culprit=_find(CULPRIT, summary),
        kind=" ".join([type(exc).__name__, *kinds[:MOST_VARIANTS]]),
        summary=summary,
    )


def describe_number(number: int) -> str:
    """Return what the system says of a failure: `No space left on device, ENOSPC`."""
    return f"{os.strerror(number)}, {errorcode.get(number, number)}"


def _find(pattern: re.Pattern[str], text: str) -> str | None:
    found = pattern.search(text)
    return None if found is None else next(group for group in found.groups() if group is not None)
