"""Build the routes to mount, their schemas and their OpenAPI; and dependencies for routes of an application's own."""
