"""The REST API as a whole: its settings, addresses, errors and description."""
