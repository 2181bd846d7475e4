"""The marts as files for BI tools, stamped with the state of the lake they show."""
