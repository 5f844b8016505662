"""One module per family of events: payload in, facts out, nothing else."""
