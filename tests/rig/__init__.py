"""A whole tformance that can be broken in every way: processes killed, engines restarted, connections frozen."""
