"""Films whose truth is known, by many writers and with lies told afterwards, and what the inspector answers.

    make soak                                         # tens of thousands of cases
    PYTHONPATH=src python -m tests.truth "/no tfdt/"  # those whose name contains this; --keep FOLDER writes their files

Each picture carries its number (tests/support/numbered.py), so duration, frame count, rate and the frame that the
poster shows are known, not taken from another reader.
"""
