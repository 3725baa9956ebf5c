"""What the model does not play yet, because the library is known to fail at it."""

from typing import Final

WAITING: Final[dict[str, str]] = {}
"""What is left out, and why; to be emptied."""
