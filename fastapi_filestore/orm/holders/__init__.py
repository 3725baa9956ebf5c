"""One question, under one lock: which rows of a database hold an object?

Asked before an object goes whose path is not of our own form, and before a row takes a path that its transaction did
not generate.
"""
