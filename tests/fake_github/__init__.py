"""A GitHub for tests: a real server on loopback with a world behind it."""
