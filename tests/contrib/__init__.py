"""Other frameworks, used as their own pages say."""
