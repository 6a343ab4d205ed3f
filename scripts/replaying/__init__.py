"""What scripts/replay.py is made of: one module for each command, and the few things they share."""
