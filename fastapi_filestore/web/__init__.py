"""FastAPI and Starlette live here: what comes in (`receiving/`), what goes out (`serving/`), the routes.

`problems.py` is the one table from errors to answers; `provider.py` is behind `Depends`. Nothing below this room
knows HTTP.
"""
