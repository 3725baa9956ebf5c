"""SQLAlchemy: the column, the unit of work that keeps rows and bytes in step, the session's bridge to async."""
