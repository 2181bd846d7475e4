"""Faults: known damage done to a healthy model, to see whether the diagnosis finds it."""
