"""Many agents at once: processes on one machine, or workers on a Ray cluster."""
