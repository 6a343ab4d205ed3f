"""Inspects videos with known content, from many writers, some with false metadata.

    make soak                                         # tens of thousands of cases
    PYTHONPATH=src python -m tests.truth "/no tfdt/"  # those whose name contains this; --keep FOLDER writes their files

Each picture has its number in it (tests/support/numbered.py), so duration, frame count, rate and the poster's frame are
known, not taken from another reader.
"""
