"""Training of the tiny models that Layerhouse ships and tests itself on; `tiny` is the command."""
