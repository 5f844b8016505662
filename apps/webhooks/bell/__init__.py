"""The doorbell: telling workers that there is post."""
