"""One repository in a run of reconciliation: probed with others, walked where it differs, counted, done."""
