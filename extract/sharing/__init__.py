"""Who does which part of an extraction: the job, what of it is done, and what is claimed."""
