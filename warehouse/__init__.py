"""The lake, its catalogue and its readers: stores, checks and publishes; no deep learning."""
