"""`manage.py doctor`: checks of everything that tformance needs, each with its result and what to do.

A family of checks is one function that yields them; `families.py` lists the families and runs each within its time
limit. Functions that compute a result from what was read are pure.
"""
