"""What the model does not play yet, because the library is known to fail at it."""

from typing import Final

WAITING: Final = {
    "edits of rows that nobody holds": "one that was made before a savepoint is lost with it, though it was flushed",
    "old copies": "a change in place of an old copy, merged with load=False, is lost in silence",
}
"""What is left out, and why; to be emptied."""
