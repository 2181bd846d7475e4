"""What is read from a locus: readouts, which of them are wanted, and the logit lens over them."""
