"""Cases of tus 1.0 for any server that speaks it, known only by the URL where uploads begin.

`python -m tests.tus URL` tries a server that runs; `pytest tests/tus` starts servers itself.
"""
