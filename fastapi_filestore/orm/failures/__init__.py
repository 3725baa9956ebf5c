"""The one seam where errors of the database become ours: outages that pass, rows that are refused, what is missing.

Their log has no SQL and no values.
"""
