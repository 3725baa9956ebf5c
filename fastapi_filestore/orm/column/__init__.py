"""The column of type `StoredObject`, and which attributes and tables hold files.

Nothing here changes a session or a store.
"""
