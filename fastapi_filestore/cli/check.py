"""Check once, and print how each question went."""

import argparse
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict

from fastapi_filestore.cli.exit_codes import ALL_IS_WELL, FOUND, UNAVAILABLE, WRONG_USE
from fastapi_filestore.cli.lines import print_json, print_summary
from fastapi_filestore.cli.progress import drawing
from fastapi_filestore.filestore import Filestore
from fastapi_filestore.service.audit.inventory import Progress
from fastapi_filestore.service.check.check import LIMIT, SETTINGS
from fastapi_filestore.service.check.checked import Checked, Outcome
from fastapi_filestore.service.check.databases import REACHED

LONGEST = 24 * 3600.0
"""Seconds."""


def add_check_options(add: Callable[..., object]) -> None:
    """Add the options of a check to its parser, by `add_argument`."""

    def seconds(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = 0.0
        if not 0 < number <= LONGEST:
            raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds above 0")
        return number

    add("--timeout", type=seconds, default=LIMIT, metavar="SECONDS", help=f"time for each question ({LIMIT:g})")


async def run_check(files: Filestore, given: argparse.Namespace) -> int:
    """Check once; 1 if something is wrong, 2 if it is a setting, 3 if a database can't be reached."""
    found = list[Checked]()
    with drawing(lambda: Progress(f"checked {found[-1].subject}" if found else "checking", len(found)), given):
        async for checked in files.check(limit=given.timeout):
            found.append(checked)
            if given.json:
                print_json(asdict(checked))
            else:
                print(_line(checked), flush=True)
    counts = Counter(checked.outcome for checked in found)
    summary = {outcome.value: counts[outcome] for outcome in Outcome}
    print_summary("checked", summary, as_json=given.json)
    mistakes = [(checked.subject, checked.name) for checked in found if checked.outcome is Outcome.WRONG]
    if any(subject == SETTINGS for subject, _ in mistakes):
        return WRONG_USE
    if any(name == REACHED for _, name in mistakes):
        return UNAVAILABLE
    return FOUND if mistakes else ALL_IS_WELL


def _line(checked: Checked) -> str:
    took = "" if checked.seconds is None else f"{checked.seconds * 1000:,.0f} ms"
    parts = [f"{checked.outcome:<7}", checked.subject, checked.name, checked.detail, took]
    return "  ".join(part for part in parts if part)
