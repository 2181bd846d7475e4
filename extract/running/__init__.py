"""One agent at work: a model opened and checked, batches prepared and run, units written."""
