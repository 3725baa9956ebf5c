"""How lines of the log are written."""
