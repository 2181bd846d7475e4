"""Parts: the repair of a job's model that scores classes and changes no weights, put to work."""

from PIL import Image

from extract.answering import Listener, WorkingPart, read_part
from extract.faults import LabelFault
from extract.models import GivenModel, Session
from extract.sharing import Job
from warehouse.errors import LayerhouseError, UsageError
from warehouse.variants import MEND


def part_of(job: Job, session: Session, image: Image.Image) -> WorkingPart | None:
    """The part of a job's model, listening to it from here on; None for a model without one.

    `image` is any of the dataset. Raises LayerhouseError for a part of other classes, UsageError
    for faults of label tokens that it would not see.
    """
    source = job.source
    if isinstance(source, GivenModel) or source.answer_part is None:
        return None
    part, classes = read_part(source.answer_part)
    if not source.variant.removeprefix(f"{MEND}:").startswith(part.title()):
        raise LayerhouseError(
            f"{source.answer_part} holds {part.title()}, which is not the repair that its folder "
            "names; mend it anew"
        )
    if classes != job.phrases:
        raise LayerhouseError(
            f"the repair {source.variant} tells apart {', '.join(classes)}, and {job.dataset_id} "
            f"has the classes {', '.join(job.phrases)}; mend the model on this dataset"
        )
    places = part.places(session, session.on_device(session.encode([image])))
    blind = [str(fault) for fault in job.faults if places and isinstance(fault.kind, LabelFault)]
    if blind:
        raise UsageError(
            f"{source.variant} does not answer with the label tokens that {blind[0]} exchanges; "
            "leave the fault out"
        )
    return WorkingPart(part.on(session.loaded.device), Listener(session, places))
