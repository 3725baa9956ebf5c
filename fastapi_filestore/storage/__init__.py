"""Where bytes rest: a backend moves bytes and knows nothing of rows or HTTP."""
