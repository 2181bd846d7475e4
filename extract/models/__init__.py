"""From a name, a folder or a hub id to a loaded model with its processor and its question."""
