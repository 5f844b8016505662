"""What GitHub has no more: found by counting, confirmed one by one, and only then marked as deleted."""
