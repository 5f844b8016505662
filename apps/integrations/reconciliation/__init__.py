"""Comparing what is here with what GitHub has, and repairing the difference."""
