"""Where a lake's files lie: in a folder, or in a bucket of which a machine keeps what is small."""
