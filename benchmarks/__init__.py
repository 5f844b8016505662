"""What tformance costs, beside what others would cost on the same machine in the same run.

Machines are noisy: read the ratios. Nothing here asserts on time.
"""
