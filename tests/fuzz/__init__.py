"""Small generated videos, broken in every way their structure offers, for the whole inspector.

    make soak                                    # thousands of cases
    PYTHONPATH=src python -m tests.fuzz 4711     # one case again, by its number; --keep FILE to have it

A case is made by its number alone: the same number is the same file, as long as the encoders are the same.
"""
