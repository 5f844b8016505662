"""From a claimed delivery to its verdict."""
