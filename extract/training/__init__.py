"""Training of models of our own: today the tiny one that the demo ships."""
