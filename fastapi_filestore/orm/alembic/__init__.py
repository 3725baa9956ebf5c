"""Alembic: autogenerate for file columns, and the directives for triggers."""
