"""Image controls: whose image goes with a question in the place of the sample's own.

Donors are drawn among all samples of a dataset, each by a seed of its own, so that they are the
same for every model, in every run and whatever its limit. Of another class first the class is
drawn, then the image; of the same class it is one of another group (patient) where there is one.
"""

from collections.abc import Iterable
from random import Random

from warehouse.catalogue import Catalogue
from warehouse.errors import UsageError
from warehouse.vocabulary import OTHER, SAME_CLASS

SEED = 0
SampleRow = tuple[str, int, str]
"""(sample_id, class_index, group_id)"""


HeldDonor = tuple[str, str, str]
"""(image control, sample_id, donor_id)"""


def held_donors(wh: Catalogue, dataset_id: str) -> list[HeldDonor]:
    """The images that the lake's answers on a dataset were asked with in the place of others."""
    query = "SELECT image_control, sample_id, donor_id FROM image_donor WHERE dataset_id = $1"
    return wh.sql(query, [dataset_id]).fetchall()


def choose_image_donors(
    samples: Iterable[SampleRow], control: str, held: Iterable[HeldDonor] = ()
) -> dict[str, str]:
    """The donor of every sample for `other` or `same_class`; none for controls without donors.
    Where one is `held` it stays, whatever was removed from the dataset since it was drawn.

    Raises UsageError for a class of a single sample, which has no other of its class.
    """
    if control not in (OTHER, SAME_CLASS):
        return {}
    rows = sorted(samples)
    members: dict[int, list[tuple[str, str]]] = {}
    for sample_id, class_index, group in rows:
        members.setdefault(class_index, []).append((sample_id, group))
    known = {name: donor for of, name, donor in held if of == control}
    return {row[0]: known.get(row[0]) or _donor(row, members, control) for row in rows}


def _donor(row: SampleRow, members: dict[int, list[tuple[str, str]]], control: str) -> str:
    sample_id, class_index, group = row
    random = Random(f"{SEED}/{control}/{sample_id}")
    if control == OTHER:
        others = [index for index in sorted(members) if index != class_index]
        return random.choice(members[random.choice(others)])[0]
    # Mostly the first draw is one of another group, so that large classes are not gone through.
    alike = members[class_index]
    for _ in range(8):
        name, of = random.choice(alike)
        if of != group:
            return name
    apart = [name for name, of in alike if of != group] or [n for n, _ in alike if n != sample_id]
    if not apart:
        raise UsageError(
            f"{sample_id} is the only image of its class, so there is no other one to show in its "
            "place; leave the image control same-class out"
        )
    return random.choice(apart)
