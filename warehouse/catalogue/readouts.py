"""The readouts that packages brought to a lake."""

from warehouse.catalogue.reading import Warehouse
from warehouse.vocabulary import ReadoutFacts


def package_readouts(wh: Warehouse) -> list[tuple[ReadoutFacts, str]]:
    """What the lake knows of each, and the identity that decides its numbers."""
    rows = wh.sql(
        "SELECT name, reads, slots, everywhere, identity FROM package_readout ORDER BY name"
    ).fetchall()
    return [(ReadoutFacts(*facts), identity) for *facts, identity in rows]
