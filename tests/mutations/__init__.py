"""Safety by safety: remove one, and show that a test fails."""
