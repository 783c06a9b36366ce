"""What is wrong, how much, and which command mends it: facts are gathered, then judged.

A file for each part that is looked at judges what was found there, in pure functions, with the
thresholds at its top; `examination.py` gathers, and runs all of them.
"""
