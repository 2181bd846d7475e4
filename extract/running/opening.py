"""Opening: a job's model loaded and checked, on images of its dataset."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from shlex import quote

from PIL import Image

from extract.answering import Question, overridden_settings, told_apart, unending
from extract.faults import change_weights, complete_exits, stages_to_end, strikes_weights
from extract.models import (
    LoadedModel,
    Session,
    anatomy_of,
    failing_as,
    foreign_processor,
    load,
    open_session,
    prompt_notes,
)
from extract.replies import left_open
from extract.running.parts import part_of
from extract.running.questions import questions_of
from extract.running.seeing import find_sees_once
from extract.running.self_check import Checked, check
from extract.sharing import Job, Way
from warehouse.catalogue import open_tables, refuse_changed
from warehouse.errors import LayerhouseError, UsageError
from warehouse.images import open_image
from warehouse.progress import tell
from warehouse.vocabulary import GENERATE, LIKELIHOOD

CHECKED_IMAGES = 3


@dataclass(frozen=True)
class OpenedModel:
    """A model that is known to be read rightly on a job's dataset.

    `questions` are those of the job's ways of asking, `phrases` the tokens of what is answered to
    its own, `sees_once` names what of the model looks at the images of a batch once for all of
    them; `batching` is False where images must run one by
    one; `lines` are worth showing; `image` is one of the images it was tried on.
    """

    session: Session
    questions: Mapping[Way | None, Question]
    sees_once: tuple[str, ...]
    batching: bool
    lines: tuple[str, ...]
    image: Image.Image

    @property
    def phrases(self) -> Sequence[Sequence[int]]:
        return self.questions[None].phrases


def open_model(job: Job, ends: Sequence[str] = ()) -> OpenedModel:
    """Load a job's model, check how it is read on images of the dataset, find where stages end:
    those at whose end the job's faults strike, and `ends`.

    Raises LayerhouseError naming the family and the check that failed, UsageError for a model that
    is one for each fold.
    """
    if job.is_by_fold:
        raise UsageError(
            f"{job.variant} is one model for each fold, whose states cannot be read or changed "
            "together: it is there for its answers, which layerhouse extract takes"
        )
    with open_tables(job.lake) as warehouse:
        refuse_changed(warehouse, job.dataset_id, job.sample_ids)
    tell(0, len(job.sample_ids), "loading the model")
    loaded = load(job.source, device=job.device, dtype=job.dtype, change=_weight_faults(job))
    images = _checked_images(job)
    tell(0, len(job.sample_ids), "checking how it is read")
    what = f"the self-check of {loaded.source.name} ({loaded.model_type}) fails"
    with failing_as(what, foreign_processor(loaded)):
        questions = questions_of(job, loaded.processor)
        session = open_session(loaded, job.own.wording)
        _refuse_other_prompt(job, session)
        checked: Checked = check(session, images, _all_phrases(questions))
        session = complete_exits(checked.session, images[0], [*stages_to_end(job.faults), *ends])
    sees_once = () if job.faults else find_sees_once(session, images, _texts(job))
    token = session.end_token if job.counts_ends else None
    end = _as_text(session, token) if job.counts_ends else None
    part = part_of(job, session, images[0])
    end = end if part is None else None  # what a part says is likely has no tokens
    questions = {
        way: replace(q, end_token=token, end=end, part=part) for way, q in questions.items()
    }
    notes = (*loaded.notes, *prompt_notes(loaded.processor, job.prompt, job.question))
    lines = (*notes, *checked.lines, *_about_answers(job, session, questions[None]))
    return OpenedModel(session, questions, sees_once, checked.batching, lines, images[0])


def _weight_faults(job: Job) -> Callable[[LoadedModel], None] | None:
    """What the job's faults do to the weights of its model, if they strike them."""
    if not strikes_weights(job.faults):
        return None

    def change(base: LoadedModel) -> None:
        phrases = questions_of(job, base.processor)[None].phrases
        change_weights(job.faults, base.model, anatomy_of(base), phrases)

    return change


def _all_phrases(questions: Mapping[Way | None, Question]) -> list[Sequence[int]]:
    """Whatever may be answered, that of the job's own question first."""
    found = {tuple(phrase): phrase for each in questions.values() for phrase in each.phrases}
    return list(found.values())


def _texts(job: Job) -> list[str]:
    return list(dict.fromkeys(each.prompt.text for each in job.asked.values()))


def _about_answers(job: Job, session: Session, own: Question) -> list[str]:
    """What is worth knowing of the answers that a job asks for."""
    asked, lines = job.request.answers, []
    if asked and not job.asked[None].entry.marks(len(job.phrases)):  # else marks are answered
        tokenizer = session.loaded.processor.tokenizer
        ends = own.end_token is not None
        lines += told_apart(tokenizer, job.phrases, own.phrases, ends=ends)
    if LIKELIHOOD in asked and not job.counts_ends:
        lines.append(
            "likelihoods go on as they were begun, without the end of a reply, so that one lake "
            f"holds one kind; `layerhouse models remove {quote(job.model_id)}` lets all be scored "
            "anew"
        )
    if LIKELIHOOD in asked and (mark := left_open(job.prompt.text)):
        lines.append(
            f"the prompt ends within reasoning that {mark} opens, where no model writes a class: "
            "likelihoods say little; ask by --answer generate, or close it in a prompt of your own "
            "(reply_prefix)"
        )
    if GENERATE in asked:
        lines += filter(None, (overridden_settings(session), unending(session)))
    return lines


def _as_text(session: Session, token: int | None) -> str:
    if token is None:
        return ""
    return str(session.loaded.processor.tokenizer.convert_ids_to_tokens(token))


def _refuse_other_prompt(job: Job, session: Session) -> None:
    """Every worker must ask what the job says, also under another release of transformers."""
    if session.encoder.prompt != job.prompt.text:
        raise LayerhouseError(
            f"the prompt is {session.encoder.prompt!r} on this machine, where the run's is "
            f"{job.prompt.text!r}; install the same transformers on all machines"
        )


def _checked_images(job: Job) -> list[Image.Image]:
    """The images of a few readable samples; an error if there is not one in the dataset."""
    uris = job.info.uris
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
    return [*chosen, *(name for name in job.sample_ids if name not in chosen)]
