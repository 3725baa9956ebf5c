"""Keeps the rows of an application and the objects in its stores in step, from cron or by hand.

A sweep deletes what the ledger knows to be garbage; it may run at any time, and any number of them at once. An audit
compares all rows with all objects, says where they disagree, and changes nothing but what --fix names.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

from fastapi_filestore.errors import DatabaseUnavailableError, FilestoreError
from fastapi_filestore.filestore import Filestore
from fastapi_filestore.logs import describe_error, redact
from fastapi_filestore.service.audit.audit import DEFAULT_GRACE
from fastapi_filestore.service.audit.findings import FIXABLE, FindingKind
from fastapi_filestore.service.start.databases import FAILURES
from fastapi_filestore.version import DISTRIBUTION, __version__

ALL_IS_WELL, FOUND, WRONG_USE, UNAVAILABLE, UNCHECKED, INTERRUPTED = 0, 1, 2, 3, 4, 130
EXIT_CODES = """exit codes:
  0    all is well
  1    an audit found something, fixed or not; a sweep could not delete something
  2    the command can't be run as it was given or set up
  3    the database can't be used
  4    an audit found nothing where it looked, but a store did not let it see all
  130  interrupted"""


class UsageError(Exception):
    """The command can't be run as it was given."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    given = parser().parse_args(arguments)
    try:
        return asyncio.run(COMMANDS[given.command](load(given.app), given))
    except DatabaseUnavailableError as error:
        return _complain(str(error), UNAVAILABLE)
    except (UsageError, FilestoreError) as error:
        return _complain(str(error), WRONG_USE)
    except BrokenPipeError:  # whoever reads the output has seen enough
        raise
    except FAILURES as error:
        return _complain(f"The database can't be used: {describe_error(error)}", UNAVAILABLE)
    except KeyboardInterrupt:
        return INTERRUPTED


def _complain(problem: str, code: int) -> int:
    print(f"filestore: {redact(problem)}", file=sys.stderr)
    return code


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    top = argparse.ArgumentParser(
        prog="filestore",
        description=__doc__,
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"{DISTRIBUTION} {__version__}")
    commands = top.add_subparsers(dest="command", required=True)

    def hours(text: str) -> timedelta:
        try:
            return timedelta(hours=float(text))
        except (ValueError, OverflowError):
            raise argparse.ArgumentTypeError(f"{text!r} is no number of hours") from None

    def count(text: str) -> int:
        if not text.isdecimal():
            raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 on")
        return int(text)

    _add_command(commands.add_parser, "sweep", "delete what the ledger knows to be garbage")
    audit = _add_command(commands.add_parser, "audit", "compare rows and objects both ways")
    audit.add_argument("--verify", action="store_true", help="read every object and compare its SHA-256")
    audit.add_argument("--grace", type=hours, default=DEFAULT_GRACE, metavar="HOURS", help="age of garbage (24)")
    audit.add_argument("--fix", action="append", default=[], choices=sorted(FIXABLE), help="put this kind right")
    audit.add_argument("--backend", action="append", help="a backend to look for orphans in (those of the columns)")
    audit.add_argument(
        "--at-most", type=count, metavar="N", help="orphans of a backend that may go (100, or 1 %% of it)"
    )
    audit.add_argument("--after", metavar="CURSOR", help="go on where an audit was cut short")
    return top


def _add_command(add: Callable[..., argparse.ArgumentParser], name: str, meaning: str) -> argparse.ArgumentParser:
    command = add(name, help=meaning, description=meaning)
    command.add_argument(
        "--app", required=True, metavar="MODULE:NAME", help="your Filestore, as example_app.main:files"
    )
    command.add_argument("--json", action="store_true", help="print one JSON object a line")
    return command


def load(place: str) -> Filestore:
    """Import the Filestore that `module:name` names."""
    module, _, name = place.partition(":")
    # As with other servers' command lines, the application is in the folder that one is in.
    sys.path.insert(0, str(Path.cwd()))
    try:
        found = getattr(import_module(module), name or "files")
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError(f"{place!r} can't be imported: {error}") from error
    if not isinstance(found, Filestore):
        raise UsageError(f"{place!r} is a {type(found).__name__}: name the Filestore of your application.")
    return found


async def run_sweep(files: Filestore, given: argparse.Namespace) -> int:
    """Sweep once, and sum it up; 1 if something could not be deleted."""
    deleted = failed = 0
    async with files.backends():
        before = await files.backlog()
        async for swept in files.sweep():
            failed += swept.error is not None
            deleted += swept.error is None
            _print(asdict(swept), as_json=given.json)
        after = await files.backlog()
    # What was due, for how long the oldest had been, in seconds, what became of it, and what is left.
    oldest = None if before.oldest is None else round(before.oldest)
    summary = {
        "due": before.due,
        "oldest": oldest,
        "deleted": deleted,
        "failed": failed,
        "waiting": after.total,
        "failing": after.failing,
    }
    if given.json:
        print(json.dumps({"kind": "summary", **summary}), flush=True)
    else:
        shown = {**summary, "oldest": "none" if oldest is None else f"{oldest} s"}
        print("swept  " + "  ".join(f"{name}: {value}" for name, value in shown.items()), flush=True)
    return FOUND if failed else ALL_IS_WELL


async def run_audit(files: Filestore, given: argparse.Namespace) -> int:
    """Audit once; 1 if there are findings, 4 if there is only what a store did not show."""
    audit = files.audit(
        grace=given.grace,
        verify=given.verify,
        fix=given.fix,
        backends=given.backend,
        after=given.after,
        at_most=given.at_most,
    )
    kinds = set[FindingKind]()
    async with files.backends():
        try:
            async for finding in audit:
                kinds.add(finding.kind)
                _print(asdict(finding), as_json=given.json)
        except asyncio.CancelledError:
            print(f"filestore: go on with --after {audit.cursor or given.after or ''}", file=sys.stderr)
            raise
    if FindingKind.ORPHAN in given.fix:  # what the deletion was based on
        coverage = audit.coverage
        if given.json:
            print(json.dumps({"kind": "coverage", **asdict(coverage)}), flush=True)
        else:
            tables, backends = (", ".join(names) or "none" for names in (coverage.tables, coverage.backends))
            print(f"coverage  tables: {tables}  backends: {backends}", flush=True)
            for backend, reason in coverage.kept.items():
                print(f"kept  {backend}  no orphan was deleted: {reason}", flush=True)
    if kinds - {FindingKind.UNCHECKED}:
        return FOUND
    return UNCHECKED if kinds else ALL_IS_WELL


def _print(about: Mapping[str, Any], *, as_json: bool) -> None:
    """Print JSON, or what a person reads: kind, place, row, and what is wrong."""
    if as_json:
        print(json.dumps(about, default=str), flush=True)
        return
    row = about.get("row")
    parts = [
        about.get("kind", "failed" if about.get("error") else "deleted"),
        f"{about['backend']}:{about['path'] or ''}",
        f"{row['table']}.{row['column']} {', '.join(map(str, row['identity']))}" if row else "",
        about.get("detail") or about.get("error") or "",
        "(fixed)" if about.get("fixed") else "",
    ]
    print("  ".join(part for part in parts if part), flush=True)


COMMANDS = {"sweep": run_sweep, "audit": run_audit}
