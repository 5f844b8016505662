"""GitHub's objects as facts: what a webhook nests and what a REST answer lists have one shape, and become one form."""
