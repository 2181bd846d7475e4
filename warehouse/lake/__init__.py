"""The lake: immutable shards, the commit records that show them, the runs that write both."""
