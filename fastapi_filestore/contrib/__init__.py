"""Meet other frameworks: one module for each, which imports it, and which nothing else here imports.

Words: *admin*, pages on which staff edit rows; *change*, what a form of an admin asks for the files of one column.
Never here: a rule for files; what a column and its ledger promise holds for the pages of an admin as for routes, since
they write by a session.
"""
