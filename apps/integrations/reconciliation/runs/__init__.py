"""Runs of reconciliation: when one is due, who is in it, how it ends, and who is told."""
