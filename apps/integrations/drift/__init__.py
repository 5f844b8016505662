"""How far off our tables were, stream by stream, before a run repaired them."""
