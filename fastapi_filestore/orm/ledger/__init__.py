"""The ledger: a table beside the user's own, of *intents*, each an object that may become garbage.

Paths are *reserved* in blocks, in a transaction of their own, before bytes move; a transaction that commits a row
removes its intent. Nothing is deleted here.
"""
