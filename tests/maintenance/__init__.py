"""Sweeping and auditing."""
