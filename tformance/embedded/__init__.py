"""PostgreSQL and Redis for one machine: the real engines, started from pip-installed binaries under TFORMANCE_VAR."""
