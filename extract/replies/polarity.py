"""What may be said of a class, from the strongest claim to a denial."""

from __future__ import annotations

from dataclasses import dataclass, replace

from extract.replies.mentions import Mention

SURE, PLAIN, MAYBE, DENIED, OPEN, ASIDE = "stressed", "said", "possible", "denied", "open", "aside"
"""What may be said of a class. Aside: talked about without being claimed."""
GENERAL = "said in general"
"""Of a class as such, in the plural: a claim unless another class is only talked about too."""
CLAIMS = (SURE, PLAIN, MAYBE)
"""Claims, the strongest first."""


@dataclass(frozen=True)
class Statement:
    """What is said of one mention, by which words, and of which part if not of all the image: a
    part that its sentence speaks of, or the `place` that stands beside the mention itself.
    """

    mention: Mention
    said: str
    cue: str
    part: str = ""
    place: str = ""

    def weakened(self) -> Statement:
        """As what is said against later: possible where it was said."""
        return (
            replace(self, said=MAYBE, cue="what is said against it") if self.said == PLAIN else self
        )
