"""The agents that run models: the only package that does."""
