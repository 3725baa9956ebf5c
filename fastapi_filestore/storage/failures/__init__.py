"""Turn failures of stores and disks into errors of ours, at one seam.

A *report* holds the facts of a foreign error, a *reason* says what they mean and what to do about it. No text of a
store is ever passed on: it may hold a signed URL.
"""
