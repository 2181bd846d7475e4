"""What `layerhouse figures` writes: the report's figures and tables as files for a paper."""
