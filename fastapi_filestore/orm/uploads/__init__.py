"""Keep uploads that are things of their own: their tables, who writes to them, and when they end."""
