"""Generating: the reply that the model itself gives, token by token, until it stops.

Greedy: the most likely token each time, after the penalty that the model's authors put on what was
said, if any; or drawn, several replies to one prompt. A reply that has ended leaves the batch, so
that short ones do not pay for long ones; where few are left, they may be given up, to be generated
with their like.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from extract.answering.continuing import Prompted, bytes_of, full_logits, selected, step
from extract.answering.repeating import in_prompt, note, penalised
from extract.answering.sampling import Chances
from extract.models import Session
from warehouse.errors import LayerhouseError
from warehouse.vocabulary import DIRECT_TOKENS, LENGTH, STOP

GENERATION_BYTES = 2**32
"""The cache of replies that go on together; beyond it half of them wait for the others."""

NEUTRAL: dict[str, tuple[Any, ...]] = {
    "do_sample": (False,),
    "temperature": (1.0,),
    "top_p": (1.0,),
    "top_k": (50,),
    "num_beams": (1,),
    "repetition_penalty": (1.0,),
    "no_repeat_ngram_size": (0,),
    "min_new_tokens": (0,),
    "min_length": (0,),
    "suppress_tokens": (),
    "begin_suppress_tokens": (),
    "bad_words_ids": (),
    "sequence_bias": (),
    "stop_strings": (),
    "forced_bos_token_id": (),
    "forced_eos_token_id": (),
    "guidance_scale": (1.0,),
    "encoder_repetition_penalty": (1.0,),
    "exponential_decay_length_penalty": (),
    "penalty_alpha": (),
    "dola_layers": (),
}
"""Generation settings that would make other replies, with the values that change nothing."""
SAMPLING = ("temperature", "top_p", "top_k")

PATIENCE = DIRECT_TOKENS
"""Tokens after which a batch that hurries gives up the last quarter of its replies."""
GIVEN_UP = -2
"""Stands behind the tokens of a reply that was given up."""
BROKEN = -3
"""Stands where logits that are not finite choose no token."""


@dataclass(frozen=True)
class Reply:
    """What a model said: `text` as a person reads it, `raw` with its special tokens.

    `finish` says why it ended, by a stop token or cut by the budget; `n_tokens` are those that were
    generated, the stop token among them.
    """

    text: str
    raw: str
    n_tokens: int
    finish: str


@dataclass(frozen=True)
class _Going:
    """Replies under way, `per_sample` of each sample, by their `places` among all: the newest token
    of each, and how many it has; `said` are the tokens that a penalty is on, if any, `chances` what
    decides which token follows where that is not the likeliest.
    """

    places: Tensor
    cache: Any
    newest: Tensor
    said: Tensor | None = None
    written: int = 0
    chances: Chances | None = None
    per_sample: int = 1

    @property
    def rows(self) -> Tensor:
        """The sample of each."""
        return self.places // self.per_sample

    def kept(self, which: Tensor) -> "_Going":
        """Those that are marked (bool) or numbered."""
        chosen = which.nonzero()[:, 0] if which.dtype == torch.bool else which
        return replace(
            self,
            places=self.places[chosen],
            cache=selected(self.cache, chosen),
            newest=self.newest[chosen],
            said=None if self.said is None else self.said[chosen],
            chances=None if self.chances is None else self.chances.kept(chosen),
        )


@torch.inference_mode()
def generate(
    session: Session, prompted: Prompted, max_new_tokens: int, hurried: bool = False
) -> Tensor:
    """Greedy replies as token ids (n, tokens), each until the model stops or the budget is spent;
    what follows a stop token is one. Uses up the prompt's cache.

    Where it is `hurried`, long replies that at most a quarter of the batch has are given up. What
    scoring foresaw to its end is not run again, unless a penalty is on what was said.
    """
    stops, going = _stops(session, prompted), _begun(session, prompted)
    if prompted.cache is None:
        return _in_full(session, prompted, going, stops, max_new_tokens)
    tokens = stops[0].expand(prompted.n, max_new_tokens).clone()
    known: dict[int, tuple[int, ...]] = {}
    if going.said is None:
        known = _foreseen(prompted, going.newest, session.stop_tokens, max_new_tokens)
    for row, reply in known.items():
        tokens[row, : len(reply)] = torch.tensor(reply, device=tokens.device)
    waiting = _the_others(known, going)
    del going
    prompted.cache, longest = None, max(map(len, known.values()), default=0)
    found = _to_their_ends(session, prompted, waiting, tokens, hurried=hurried)
    return tokens[:, : max(longest, found)]


@torch.inference_mode()
def sample(
    session: Session,
    prompted: Prompted,
    max_new_tokens: int,
    seeds: Tensor,
    temperature: float,
) -> Tensor:
    """Replies drawn at a temperature, one by each of a sample's `seeds` (int64 [n, draws]).

    Token ids (n, draws, tokens): what follows a stop token is one. The prompt's cache stays as it
    is.
    """
    stops, (n, n_draws) = _stops(session, prompted), seeds.shape
    held = bytes_of(prompted.cache)
    at_once = min(max(GENERATION_BYTES // held, 1), n_draws) if held else 1
    found = stops[0].expand(n, n_draws, max_new_tokens).clone()
    longest = 0
    for first in range(0, n_draws, at_once):
        part = seeds[:, first : first + at_once]
        going = _begun(session, prompted, Chances(part.flatten(), temperature))
        if prompted.cache is None:
            tokens = _in_full(session, prompted, going, stops, max_new_tokens)
        else:
            tokens = stops[0].expand(part.numel(), max_new_tokens).clone()
            tokens = tokens[:, : _to_their_ends(session, prompted, [going], tokens)]
        found[:, first : first + at_once, : tokens.shape[1]] = tokens.view(n, part.shape[1], -1)
        longest = max(longest, tokens.shape[1])
    return found[:, :, :longest]


def _stops(session: Session, prompted: Prompted) -> Tensor:
    return torch.tensor(session.stop_tokens or [-1], device=prompted.logits.device)


def _begun(session: Session, prompted: Prompted, chances: Chances | None = None) -> _Going:
    """Replies with their first token: one of each sample, or as many as there are chances."""
    per_sample = 1 if chances is None else len(chances.seeds) // prompted.n
    places = torch.arange(prompted.n * per_sample, device=prompted.logits.device)
    rows, cache = places // per_sample, prompted.cache
    if chances is not None and cache is not None:
        cache = selected(cache, rows)
    said = None if session.repetition_penalty is None else in_prompt(prompted)[rows]
    going = _Going(places, cache, places, said, 0, chances, per_sample)
    return replace(going, newest=_following(session, going, prompted.logits[rows], 0))


def _following(session: Session, going: _Going, logits: Tensor, place: int) -> Tensor:
    """The token [n] at this place of each reply, by the logits fp32 (n, vocabulary) before it;
    `BROKEN` where these are not finite."""
    penalty = session.repetition_penalty
    if going.said is not None and penalty is not None:
        logits = penalised(logits, going.said, penalty)
    chances = going.chances
    token = logits.argmax(dim=-1) if chances is None else chances.drawn(logits, place)
    if going.said is not None:
        note(token, going.said)
    return token.masked_fill(~logits.amax(dim=-1).isfinite(), BROKEN)


def _to_their_ends(
    session: Session,
    prompted: Prompted,
    waiting: list[_Going],
    tokens: Tensor,
    hurried: bool = False,
) -> int:
    """Let replies go on and write them into `tokens` (all, budget); the length of the longest."""
    stops, longest = _stops(session, prompted), 0
    while waiting:
        going: _Going | None = waiting.pop()
        while going is not None:
            tokens[going.places, going.written] = going.newest
            longest = max(longest, going.written + 1)
            going = _those_that_go_on(going, stops, tokens.shape[1])
            if going is not None and hurried and _is_to_be_given_up(going, prompted.n):
                tokens[going.places, going.written + 1 :] = GIVEN_UP
                longest, going = max(longest, going.written + 2), None
            if going is not None and len(going.places) > 1:
                going = _those_that_fit(going, waiting)
            if going is not None:
                going = _advanced(session, prompted, going)
    return longest


def _foreseen(
    prompted: Prompted, first: Tensor, stops: Sequence[int], max_new_tokens: int
) -> dict[int, tuple[int, ...]]:
    """The replies by row that scoring has seen from beginning to end: those that name a class."""
    beginnings = ((), *prompted.foreseen)
    following = torch.stack([first, *prompted.foreseen.values()]).tolist()
    said = dict(zip(beginnings, following, strict=True))
    whole = {}
    for row in range(prompted.n):
        reply: tuple[int, ...] = ()
        while reply in said:
            reply = (*reply, said[reply][row])
            if reply[-1] in stops or len(reply) == max_new_tokens:
                whole[row] = reply
                break
    return whole


def _the_others(known: Collection[int], going: _Going) -> list[_Going]:
    """All but the known ones, together."""
    if not known:
        return [going]
    rows = [row for row in range(len(going.places)) if row not in known]
    return [going.kept(torch.tensor(rows, device=going.places.device))] if rows else []


def _those_that_go_on(going: _Going, stops: Tensor, max_new_tokens: int) -> _Going | None:
    unfinished = ~torch.isin(going.newest, stops) & (going.newest != BROKEN)
    n = int(unfinished.sum())
    if n == 0 or going.written + 1 == max_new_tokens:
        return None
    return going if n == len(unfinished) else going.kept(unfinished)


def _is_to_be_given_up(going: _Going, n: int) -> bool:
    return going.written + 1 >= PATIENCE and 4 * len(going.places) <= n


def _those_that_fit(going: _Going, waiting: list[_Going]) -> _Going:
    """All rows, or half of them while the other half waits."""
    if bytes_of(going.cache) <= GENERATION_BYTES:
        return going
    halves = torch.arange(len(going.places), device=going.places.device).chunk(2)
    waiting.append(going.kept(halves[1]))
    return going.kept(halves[0])


def _advanced(session: Session, prompted: Prompted, going: _Going) -> _Going:
    """One more token of each."""
    new, written = going.newest[:, None], going.written + 1
    logits = step(session, prompted, going.cache, going.rows, new, going.written)
    newest = _following(session, going, logits[:, -1].float(), written)
    return replace(going, newest=newest, written=written)


def _in_full(
    session: Session, prompted: Prompted, begun: _Going, stops: Tensor, max_new_tokens: int
) -> Tensor:
    """The same without a cache: what is packed for a batch's images cannot be cut, so all stay."""
    chosen, done = [begun.newest], torch.isin(begun.newest, stops)
    while len(chosen) < max_new_tokens and not bool(done.all()):
        said = torch.stack(chosen, dim=1).clamp(min=0)  # broken ones are done for
        logits = full_logits(session, prompted.inputs, said)
        following = _following(session, begun, logits[:, -1].float(), len(chosen))
        chosen.append(torch.where(done, stops[0], following))
        done |= torch.isin(chosen[-1], stops)
    return torch.stack(chosen, dim=1)


def overridden_settings(session: Session) -> str | None:
    """A line on what the model's generation settings ask for beyond greedy replies, if anything."""
    settings = getattr(session.model, "generation_config", None)
    asked = {name: getattr(settings, name, None) for name in NEUTRAL}
    followed = {"repetition_penalty": session.repetition_penalty}
    other = {
        n: value for n, value in asked.items() if value not in (None, *NEUTRAL[n], followed.get(n))
    }
    if "do_sample" not in other:
        other = {n: value for n, value in other.items() if n not in SAMPLING}
    if not other:
        return None
    named = ", ".join(f"{name} {value}" for name, value in other.items())
    return f"replies are greedy, against the model's own generation settings ({named})"


def unending(session: Session) -> str | None:
    """A line where what is said to end a reply is no token of the model, or nothing is."""
    if beyond := session.unwritable_ends:
        return (
            f"a reply ends with {', '.join(map(str, session.stop_tokens))}: the model has no token "
            f"{', '.join(map(str, beyond))}, which its files name too"
        )
    if not session.stop_tokens:
        return "the model's files name no token that ends a reply: each is cut at its budget"
    return None


def refuse_broken(session: Session, tokens: NDArray[np.int64], sample_ids: Sequence[str]) -> None:
    """LayerhouseError naming a sample whose tokens (n, …) logits that are not finite chose."""
    broken = (tokens == BROKEN).any(axis=tuple(range(1, tokens.ndim)))
    if broken.any():
        raise LayerhouseError(
            f"the logits of the reply to sample {sample_ids[int(np.argmax(broken))]} are not "
            f"finite; {session.loaded.remedy}"
        )


def replies_of(session: Session, tokens: NDArray[np.int64]) -> list[Reply | None]:
    """Replies from their token ids (n, tokens), each up to its first stop token; None for those
    that were given up.
    """
    tokenizer = session.loaded.processor.tokenizer
    replies: list[Reply | None] = []
    for row in tokens.tolist():
        if row[-1] == GIVEN_UP:
            replies.append(None)
            continue
        end = session.end_of(row)
        text = tokenizer.decode(row[:end], skip_special_tokens=True).strip()
        how = (len(row), LENGTH) if end is None else (end + 1, STOP)
        replies.append(Reply(text, session.raw_text(row[:end]), *how))
    return replies
