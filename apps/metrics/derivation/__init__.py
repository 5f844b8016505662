"""From facts to derived rows: one module per noun."""
