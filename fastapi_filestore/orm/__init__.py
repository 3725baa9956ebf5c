"""SQLAlchemy: the column, and the unit of work that keeps rows and bytes in step.

`column/` is the type and what a model says of its files; `ledger/` remembers, across any crash, which objects may be
garbage; `holders/` asks which rows hold an object; `unit_of_work/` listens to sessions; `triggers/` and `alembic/`
let the database and migrations help; `failures/` makes errors of databases ours. Nothing here knows of requests.
"""
