"""The commands, for cron and for people: `sweep`, `audit` and `check`, each a file, and the only place that prints.

`main` reads the command line and finds the application; what commands print goes to stdout, a line for each fact, and
what they complain of and draw goes to stderr.
"""

from fastapi_filestore.cli.exit_codes import (
    ALL_IS_WELL,
    FOUND,
    INTERRUPTED,
    UNAVAILABLE,
    UNCHECKED,
    WRONG_USE,
)
from fastapi_filestore.cli.main import main

__all__ = ["ALL_IS_WELL", "FOUND", "INTERRUPTED", "UNAVAILABLE", "UNCHECKED", "WRONG_USE", "main"]
