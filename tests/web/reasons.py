"""The table of reasons on docs/problems.md, made from the code; `python -m tests.web.reasons` writes it."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from fastapi_filestore import DatabaseFailedError, DatabaseUnavailableError, FilestoreError, RowConflictError
from fastapi_filestore.orm.failures.codes import CONSTRAINT, MYSQL, SQL_STATES, SQLITE, Fault
from fastapi_filestore.orm.failures.translate import NO_CHANGES
from fastapi_filestore.storage.failures.reasons import DISK_FAILED, ERRNOS, SILENCE, STATUSES, WORDS, Reason
from fastapi_filestore.storage.failures.store_codes import GROUPS
from fastapi_filestore.web.problems import KINDS, Kind

PAGE = Path(__file__).parents[2] / "docs" / "problems.md"
BEGIN, END = "<!-- reasons:begin -->", "<!-- reasons:end -->"
Why = TypeVar("Why", Reason, Fault)
HEAD = ("| Code | Type | Status | The log says | Remedy |", "| --- | --- | --- | --- | --- |")


def render() -> str:
    """Return the section between the markers."""
    statuses = {str(status): reason for status, reason in STATUSES.items()}
    words = {words: reason for words, _, reason in WORDS}
    parts = [
        "### What this system says, of a disk or of the way to a store",
        _of_reasons({**ERRNOS, "any other": DISK_FAILED}.items()),
        "### What stores say: S3 and what speaks its protocol, Azure, Google Cloud Storage",
        _of_reasons((code, reason) for reason, codes in GROUPS for code in codes),
        "### Answers without a code that is known, by their status",
        _of_reasons(statuses.items()),
        "### What happens without an answer",
        _of_reasons(words.items()),
        "### What databases say: SQL states and their classes, SQLite's names, MySQL's numbers",
        _of_faults(
            [
                *SQL_STATES.items(),
                *SQLITE.items(),
                *((str(number), fault) for number, fault in MYSQL.items()),
            ]
        ),
    ]
    return "\n\n".join(parts)


def replace_section(text: str) -> str:
    """Return the page with its section as it should be."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{render()}\n{END}{after}"


def _of_reasons(rows: Iterable[tuple[str, Reason]]) -> str:
    return "\n".join([*HEAD, *(_row(codes, reason) for reason, codes in _grouped(rows))])


def _row(codes: str, reason: Reason) -> str:
    kind, sentence = _kind_of(reason.error), reason.sentence.format(key="`key`", place="")
    remedy = _sentence(reason.remedy.format(settings="FILESTORE_BACKENDS__NAME__", silence=SILENCE))
    return f"| {codes} | `{kind.name}` | {kind.status} | Backend `name` {sentence} | {remedy} |"


def _of_faults(rows: Iterable[tuple[str, Fault]]) -> str:
    return "\n".join([*HEAD, *(_fault_row(codes, fault) for fault, codes in _grouped(rows))])


def _fault_row(codes: str, fault: Fault) -> str:
    lasting = RowConflictError if fault is CONSTRAINT else DatabaseFailedError
    kind = _kind_of(NO_CHANGES.get(fault, DatabaseUnavailableError if fault.passes else lasting))
    return f"| {codes} | `{kind.name}` | {kind.status} | {_sentence(fault.sentence)} | {_sentence(fault.remedy)} |"


def _grouped(rows: Iterable[tuple[str, Why]]) -> Iterator[tuple[Why, str]]:
    """Yield each reason once with all of its codes, in the order in which the reasons come first."""
    codes_of: dict[Why, list[str]] = {}
    for code, why in rows:
        codes_of.setdefault(why, []).append(code)
    for why, codes in codes_of.items():
        yield why, ", ".join(f"`{code}`" if " " not in code else code for code in codes)


def _kind_of(error: type[FilestoreError]) -> Kind:
    return next(KINDS[family] for family in error.__mro__ if family in KINDS)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}." if text else ""


if __name__ == "__main__":
    PAGE.write_text(replace_section(PAGE.read_text()))
