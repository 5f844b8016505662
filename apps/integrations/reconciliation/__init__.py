"""Comparing our tables with GitHub, and repairing them."""
