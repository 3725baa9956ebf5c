"""The routes to mount, their schemas and their OpenAPI; and the dependencies for routes of one's own."""
