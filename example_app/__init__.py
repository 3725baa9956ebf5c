"""An application to keep documents in: a page, an API, and every setting in the environment."""
