"""`manage.py doctor`: what must be right for tformance to work, looked at one by one, with what to do.

A family of checks is one module and one function that yields them; `families.py` names them in their order and
`examination.py` runs them, each within its time. Verdicts are pure where there is something to judge.
"""
