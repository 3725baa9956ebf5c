"""Tell whether a person or a machine runs this process."""

import os


def is_automated() -> bool:
    """Tell whether a service for continuous integration runs this process: all of them set CI."""
    return os.environ.get("CI", "").strip().lower() not in {"", "0", "false"}
