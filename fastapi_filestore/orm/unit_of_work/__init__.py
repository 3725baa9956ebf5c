"""The unit of work: bytes are complete before their row, and go when no committed row points to them.

`listeners.py` hears every event of a session and says what each guarantees; the *journal* keeps what one (nested)
transaction did to files; `end.py` honours it. Nothing is deleted from a store before the outermost COMMIT.
"""
