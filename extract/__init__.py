"""The agents that run models: the only package that does. Import its modules by name."""
