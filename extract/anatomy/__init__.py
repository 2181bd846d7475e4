"""Where to look in a model: its loci, and which rows of them belong to which sample."""
