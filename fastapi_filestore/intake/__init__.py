"""Bytes on their way in: limited, named, digested."""
