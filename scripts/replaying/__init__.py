"""The parts of scripts/replay.py: one module for each command, and what they share."""
