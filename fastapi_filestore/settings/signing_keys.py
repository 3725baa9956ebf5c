"""Check that signing keys are strong enough to be believed: a weak one lets anybody sign."""

import re

MIN_KEY_CHARACTERS = 32
"""A key shorter than the MAC would be the easier thing to guess (RFC 2104, section 3)."""
MIN_DIFFERENT_CHARACTERS = 10
"""Of 32 characters made at random, in any usual alphabet, hardly ever are fewer different."""
PLACEHOLDER = re.compile(
    r"change.?(me|this|it)|your.?(own|secret|key|signing)|replace.?(me|this)|placeholder", re.IGNORECASE
)
"""What texts say that stand where a key belongs, as docs/settings.md's does."""
UNFILLED = re.compile(r"\$[{(]|`[^`]+`")
"""What a shell, or Docker Compose, would have put something in the place of."""
SEPARATOR = re.compile(r"[;\s]")
"""What stands between two keys that were meant to be separated, and would make one of them."""
KEY_REMEDY = "make one with `python -c 'import secrets; print(secrets.token_urlsafe(32))'`"


def problem_of_key(key: str) -> str | None:
    """Return what is wrong with a signing key and how to make a good one, without showing it; None if it will do."""
    if len(key) < MIN_KEY_CHARACTERS:
        return f"use {MIN_KEY_CHARACTERS} characters or more; {KEY_REMEDY}"
    if PLACEHOLDER.search(key):
        return f"it is the placeholder of an example, which everybody knows; {KEY_REMEDY}"
    if UNFILLED.search(key):
        return f"it has what a shell was to fill in and did not, as ${{…}} or $(…); {KEY_REMEDY}"
    if SEPARATOR.search(key):
        return f"a key has no spaces and no semicolons: separate keys by commas; {KEY_REMEDY}"
    if len(set(key)) < MIN_DIFFERENT_CHARACTERS:
        return f"use {MIN_DIFFERENT_CHARACTERS} different characters or more, for fewer can be guessed; {KEY_REMEDY}"
    return None
