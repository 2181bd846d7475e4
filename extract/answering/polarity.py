"""What may be said of a class, from the strongest claim to a denial."""

SURE, PLAIN, MAYBE, DENIED, OPEN, ASIDE = "stressed", "said", "possible", "denied", "open", "aside"
"""What may be said of a class. Aside: talked about without being claimed."""
GENERAL = "said in general"
"""Of a class as such, in the plural: a claim unless another class is only talked about too."""
CLAIMS = (SURE, PLAIN, MAYBE)
"""Claims, the strongest first."""
