"""Lakes behind a URL: what object storage can do, and what a machine keeps of it."""
