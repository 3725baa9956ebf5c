"""Alembic: what autogenerate learns of file columns, and the directives for triggers."""
