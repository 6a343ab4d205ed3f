"""Films whose truth is known, as many writers would write them and with lies told afterwards, held against the inspector.

    make soak                                         # tens of thousands of cases
    PYTHONPATH=src python -m tests.truth "/no tfdt/"  # those whose name contains this; --keep FOLDER writes their files

Each picture carries its number (tests/support/numbered.py), so duration, frame count, rate and the frame that the
poster shows are known, not taken from another reader.
"""
