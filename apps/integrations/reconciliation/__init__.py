"""Comparing what is here with what GitHub has, and repairing it."""
