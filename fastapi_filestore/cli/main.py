"""Keeps the rows of an application and the objects in its stores in step, from cron or by hand.

A sweep deletes what the ledger knows to be garbage; it may run at any time, and any number of them at once. An audit
compares all rows with all objects, says where they disagree, and changes nothing but what --fix names. A check tries
out all that the application needs, and leaves nothing behind.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from fastapi_filestore.cli.audit import add_audit_options, run_audit
from fastapi_filestore.cli.check import add_check_options, run_check
from fastapi_filestore.cli.exit_codes import EXIT_CODES, INTERRUPTED, UNAVAILABLE, UNREAD, WRONG_USE
from fastapi_filestore.cli.sweep import run_sweep
from fastapi_filestore.errors import DatabaseUnavailableError, FilestoreError
from fastapi_filestore.filestore import Filestore
from fastapi_filestore.logs import describe_error, redact
from fastapi_filestore.service.start.databases import FAILURES
from fastapi_filestore.version import DISTRIBUTION, __version__


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
    except BrokenPipeError:
        # Whoever reads the output has seen enough; what is in the buffer still can go nowhere else.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNREAD
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
    _add_command(commands.add_parser, "sweep", "delete what the ledger knows to be garbage")
    audit = _add_command(commands.add_parser, "audit", "compare rows and objects both ways")
    add_audit_options(audit.add_argument)
    check = _add_command(commands.add_parser, "check", "try out settings, backends, databases and columns")
    add_check_options(check.add_argument)
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


COMMANDS = {"sweep": run_sweep, "audit": run_audit, "check": run_check}
