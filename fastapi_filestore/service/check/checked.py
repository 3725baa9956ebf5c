"""Ask one thing within a time limit, and say how it went."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from time import perf_counter

from fastapi_filestore.errors import FilestoreError
from fastapi_filestore.logs import describe_error, redact


class Outcome(StrEnum):
    """How a check went: as it should; wrongly; well, though something should be better; or it can't be asked."""

    OK = "ok"
    WRONG = "wrong"
    WEAK = "weak"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Checked:
    """What was checked, and how it went.

    Attributes:
        subject: What was looked at, such as `backend documents`.
        name: What of it, such as `put`.
        outcome: How it went.
        detail: What was found; what is wrong and the remedy, unless it is ok.
        seconds: How long it took; None if nothing was waited for.
    """

    subject: str
    name: str
    outcome: Outcome = Outcome.OK
    detail: str = ""
    seconds: float | None = None


class NotFine(Exception):  # noqa: N818 - not all that is not fine is an error
    """Something is not as it should be, or can't be asked; the text says what, and the remedy."""

    def __init__(self, outcome: Outcome, detail: str) -> None:
        super().__init__(outcome, detail)
        self.outcome, self.detail = outcome, detail


def wrong(detail: str) -> NotFine:
    """Return what to raise for what is wrong."""
    return NotFine(Outcome.WRONG, detail)


def weak(detail: str) -> NotFine:
    """Return what to raise for what works and should be better."""
    return NotFine(Outcome.WEAK, detail)


def unknown(detail: str) -> NotFine:
    """Return what to raise for what can't be asked."""
    return NotFine(Outcome.UNKNOWN, detail)


def reason_of(error: OSError) -> str:
    """Return why a server could not be asked, in the system's words."""
    return f"{type(error).__name__}: {error.strerror or error}"


async def ask(subject: str, name: str, question: Callable[[], Awaitable[str]], limit: float) -> Checked:
    """Ask something within a limit in seconds, and return how it went: whatever it raises is an answer, too."""
    outcome, start = Outcome.OK, perf_counter()
    try:
        async with asyncio.timeout(limit):
            detail = await question()
    except NotFine as answer:
        outcome, detail = answer.outcome, answer.detail
    except TimeoutError:
        outcome = Outcome.WRONG
        detail = (
            f"There was no answer within {limit:g} s: see whether it hangs, or the network is slow, or wait longer."
        )
    except FilestoreError as error:
        outcome, detail = Outcome.WRONG, str(error)
    except Exception as error:  # noqa: BLE001 - a driver's own error is an answer as well, and the rest is still asked
        outcome, detail = Outcome.WRONG, describe_error(error)
    return Checked(subject, name, outcome, str(redact(detail)), round(perf_counter() - start, 3))
