"""The model's own classification: phrases scored, replies generated and read."""
