"""Opening: a job's model loaded and checked, and its faults made ready for a dataset."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import polars as pl
from PIL import Image

from extract.answering.replies import ClassNames, lists_letters
from extract.faults.erasure import FIT_SAMPLES, Base, fit_erasure
from extract.faults.injector import Injector, complete_exits
from extract.faults.spec import Exchange, Fault, plan_exchange
from extract.models.loading import load
from extract.models.prompts import phrase_tokens
from extract.models.session import Session, open_session
from extract.running.batches import Runner
from extract.running.clock import Stopwatch
from extract.running.preparing import Prepared, Preparer
from extract.running.self_check import Checked, check
from extract.sharing.coverage import sample_order
from extract.sharing.job import Job
from warehouse.errors import LayerhouseError
from warehouse.images import MAX_PIXELS, open_image

CHECKED_IMAGES = 3


@dataclass(frozen=True)
class OpenedModel:
    """A model that is known to be read rightly on a job's dataset.

    `phrases` are the class phrases' tokens; `batching` is False where images must run one by one;
    `lines` are worth showing; `image` is one of the images it was tried on.
    """

    session: Session
    phrases: list[list[int]]
    batching: bool
    lines: tuple[str, ...]
    image: Image.Image


def open_model(job: Job, faults: Sequence[Fault]) -> OpenedModel:
    """Load a job's model, check how it is read on images of the dataset, find where stages end.

    Raises LayerhouseError naming the family and the check that failed.
    """
    loaded = load(job.source, device=job.device, dtype=job.dtype)
    phrases = [
        phrase_tokens(loaded.processor, job.question, row.phrase) for row in job.info.classes
    ]
    images = _checked_images(job)
    checked: Checked = check(open_session(loaded, job.question), images, phrases)
    stages = [f.stage for f in faults if f.layer is None and f.kind not in ("lowres", "block")]
    session = complete_exits(checked.session, images[0], stages)
    return OpenedModel(session, phrases, checked.batching, checked.lines, images[0])


def _checked_images(job: Job) -> list[Image.Image]:
    """The images of a few readable samples; an error if there is not one in the dataset."""
    uris = dict(job.info.samples.select("sample_id", "uri").iter_rows())
    images: list[Image.Image] = []
    failed: LayerhouseError | None = None
    for name in _checked_samples(job):
        try:
            images.append(open_image(uris[name], max_pixels=job.request.max_pixels))
        except LayerhouseError as error:
            failed = failed or error
        if len(images) == CHECKED_IMAGES:
            break
    if failed is not None and not images:
        raise LayerhouseError(f"no image of {job.dataset_id} can be read: {failed}")
    return images


def _checked_samples(job: Job) -> list[str]:
    """The samples asked for, the first few of different sizes if there are any."""
    sizes: dict[tuple[int, int], str] = {}
    for name, width, height in job.info.samples.select("sample_id", "width", "height").iter_rows():
        sizes.setdefault((width, height), name)
    chosen = list(sizes.values())[:CHECKED_IMAGES]
    return [*chosen, *(name for name in job.order if name not in chosen)]


def plan_exchanges(faults: Sequence[Fault], samples: pl.DataFrame) -> dict[str, Exchange]:
    """For every swap among the faults, whose activations which sample of the dataset gets."""
    rows = list(samples.select("sample_id", "split", "class_index").iter_rows())
    return {str(fault): plan_exchange(fault, rows) for fault in faults if fault.kind == "swap"}


def fit_erasures(
    faults: Sequence[Fault],
    session: Session,
    samples: pl.DataFrame,
    uris: Mapping[str, str],
    batch_size: int,
    max_pixels: int = MAX_PIXELS,
) -> dict[str, list[Base]]:
    """For every erasing fault, what it takes out, learned from the train split."""

    classes = dict(samples.select("sample_id", "class_index").iter_rows())
    train = set(samples.filter(samples["split"] == "train")["sample_id"])
    order = [name for name in sample_order(samples["sample_id"]) if name in train]
    plain = Preparer(session, uris, faults, {}, max_pixels)

    def batches(fault: Fault) -> Iterator[tuple[Prepared, Sequence[int]]]:
        chosen = erased_from(fault, order)
        for start in range(0, len(chosen), batch_size):
            names = chosen[start : start + batch_size]
            prepared = plain(names)
            if prepared.sample_ids:
                yield prepared, [classes[name] for name in prepared.sample_ids]

    return {
        str(fault): fit_erasure(session, fault, batches(fault))
        for fault in faults
        if fault.kind == "erase"
    }


def erased_from(fault: Fault, order: Sequence[str]) -> list[str]:
    """The train samples an erasure learns from: the first of the order; with a seed, a random
    four fifths, so that seeds differ in what they take out.
    """
    if not fault.seed:
        return list(order[:FIT_SAMPLES])
    drawn = fault.random("learned").sample(list(order), max(len(order) * 4 // 5, 1))
    return drawn[:FIT_SAMPLES]


def runner_of(
    job: Job,
    opened: OpenedModel,
    faults: Sequence[Fault],
    bases: Mapping[str, Sequence[Base]],
    watch: Stopwatch,
) -> Runner:
    """A runner for a job's question whose model has these faults."""
    injector = Injector(opened.session, faults, opened.phrases, bases) if faults else None
    classes = [ClassNames(row.label, row.phrase) for row in job.info.classes]
    letters = lists_letters(job.question, [row.phrase for row in job.info.classes])
    return Runner(opened.session, injector, classes, opened.phrases, letters, watch)
