"""Audit: compare what stores hold and what rows say, both ways, in flat memory, while both are in use.

An *orphan* is an object that no row holds; a *reference* is what a row says of its file. Nothing is deleted that has
not been asked for again.
"""
