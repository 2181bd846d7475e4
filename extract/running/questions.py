"""Questions: what a job's ways of asking say, and how what is answered is read."""

from typing import Any

from extract.answering import Question
from extract.models import phrase_tokens, unseeing_tokens
from extract.replies import left_open
from extract.sharing import Asked, Job, Way, listing


def questions_of(job: Job, processor: Any) -> dict[Way | None, Question]:
    """The question of every way in which a job asks."""
    return {way: _question(job, way, asked, processor) for way, asked in job.asked.items()}


def _question(job: Job, way: Way | None, asked: Asked, processor: Any) -> Question:
    entry, rows = asked.entry, job.info.classes
    listed = listing(entry, rows, asked.way.option_order, asked.question)
    marks = entry.marks(len(rows))
    said = dict(zip(listed.shown, marks, strict=True)) if marks else dict(enumerate(job.phrases))
    texts = [said[i] for i in range(len(said))]
    phrases = phrase_tokens(processor, asked.wording, texts)
    opening = left_open(asked.prompt.text) + (entry.reply_prefix or "")
    unseeing = unseeing_tokens(processor, asked.wording)
    return Question(
        listed.names,
        phrases,
        listed.letters,
        job.budget.of(way),
        opening,
        shown=listed.shown,
        unseeing=unseeing,
    )
