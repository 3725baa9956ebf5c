"""Sweep: settle the intents that a crash, a rollback or a failing store left behind.

It is safe to run from any number of processes at once, and costs as much as there is garbage.
"""
