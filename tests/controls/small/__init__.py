"""A world small enough for tests: the real supervisor and servers, stand-ins for the services."""
