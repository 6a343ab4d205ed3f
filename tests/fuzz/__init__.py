"""Fuzz tests of the inspector, with small generated videos that are broken along their structure.

    make soak                                    # thousands of cases
    PYTHONPATH=src python -m tests.fuzz 4711     # one case again, by its number; --keep FILE writes it

A case depends only on its number: the same number gives the same file, as long as the encoders are the same.
"""
