"""Questions: what a job's ways of asking say, and how what is answered is read."""

from typing import Any

from extract.answering import Question, left_open, lists_letters
from extract.models import phrase_tokens
from extract.sharing import Asked, Job, Way, listed_names
from warehouse.vocabulary import LETTERED


def questions_of(job: Job, processor: Any) -> dict[Way | None, Question]:
    """The question of every way in which a job asks."""
    return {way: _question(job, way, asked, processor) for way, asked in job.asked.items()}


def _question(job: Job, way: Way | None, asked: Asked, processor: Any) -> Question:
    entry, rows = asked.entry, job.info.classes
    shown = entry.order(len(rows), asked.way.option_order)
    marks = entry.marks(len(rows))
    classes = listed_names(entry, rows, shown)
    said = dict(zip(shown, marks, strict=True)) if marks else dict(enumerate(job.phrases))
    phrases = [
        phrase_tokens(processor, asked.question, said[i], entry.system, entry.reply_prefix)
        for i in range(len(said))
    ]
    letters = entry.option_style == LETTERED or lists_letters(
        asked.question, [rows[i].phrase for i in shown]
    )
    opening = left_open(asked.prompt.text) + (entry.reply_prefix or "")
    return Question(classes, phrases, letters, job.budget.of(way), opening, shown=shown)
