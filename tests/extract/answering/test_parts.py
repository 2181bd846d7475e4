"""What scores classes in the place of phrases: fitted by hand-worked cases, saved and read."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from scipy.optimize import minimize
from scipy.special import logsumexp
from torch import Tensor

from extract.answering.part import AnswerPart, Lesson, Listener
from extract.answering.parts import PARTS, read_part
from extract.answering.parts.heads import Heads, output_projections
from extract.answering.parts.prior import Prior
from extract.answering.parts.probe import Probe
from tests.extract.sessions import Opened, opened
from tests.extract.tiny_families import FAMILIES, _llava, clip, save_family, vicuna
from warehouse.errors import LayerhouseError


def lesson_of(given: Tensor, classes: list[int], n: int, widths: tuple[int, ...] = ()) -> Lesson:
    return Lesson(given, torch.tensor(classes), torch.ones(len(classes)), n, widths)


def last(part: type[AnswerPart], lesson: Lesson) -> AnswerPart:
    return list(part.fits(lesson))[-1][0]


def test_a_prior_of_likelihoods_that_tell_nothing_is_what_classes_weigh() -> None:
    given = torch.tensor([[-1.0, -9.0, -4.0]]).expand(8, 3)
    classes = torch.tensor([0] * 5 + [1] * 2 + [2])
    for weights, shares in (
        (torch.ones(8), [0.625, 0.25, 0.125]),
        (8 / (3 * torch.bincount(classes))[classes], [1 / 3] * 3),  # balanced accuracy
    ):
        part = last(Prior, Lesson(given, classes, weights, 3))
        assert part.logprobs(given[:1]).exp()[0].tolist() == pytest.approx(shares, abs=2e-3)
        assert part.n_parameters == 3


def test_a_model_that_says_one_class_whatever_it_sees_is_evened_out() -> None:
    generator = torch.Generator().manual_seed(0)
    classes = torch.arange(60) % 2
    given = torch.randn(60, 2, generator=generator) + 3 * torch.eye(2)[classes]
    biased = given + torch.tensor([40.0, 0.0])
    assert (biased.argmax(dim=1) == 0).all()
    part = last(Prior, Lesson(biased, classes, torch.ones(60), 2))
    said = part.logprobs(biased).argmax(dim=1)
    assert (said == classes).float().mean() > 0.9


def test_a_probe_is_the_logistic_regression_of_least_loss() -> None:
    generator = torch.Generator().manual_seed(0)
    classes = torch.arange(90) % 3
    given = 5 + 0.1 * (torch.randn(90, 4, generator=generator) + 2 * torch.eye(3, 4)[classes])
    given[:, 3] = 7  # the same for all, and counts nothing
    weights = 0.5 + (torch.arange(90) % 4) / 3
    parts = list(Probe.fits(Lesson(given, classes, weights, 3)))
    x = ((given - given.mean(dim=0)) / given.std(dim=0, correction=0))[:, :3].double().numpy()
    truth, weighed = classes.numpy(), weights.double().numpy()

    def objective(flat: object) -> float:
        rows = flat.reshape(3, 4)  # type: ignore[attr-defined]
        scores = x @ rows[:, :3].T + rows[:, 3]
        losses = logsumexp(scores, axis=1) - scores[range(90), truth]
        return float((losses * weighed).mean() + 0.5 * 0.1 * (rows**2).sum())

    best = minimize(objective, [0.0] * 12).x.reshape(3, 4)
    wanted = torch.log_softmax(torch.tensor(x @ best[:, :3].T + best[:, 3]), dim=1)
    part, loss = parts[1]
    assert torch.allclose(part.logprobs(given).double(), wanted, atol=1e-3)
    assert loss == pytest.approx(objective(best.ravel()) - 0.05 * (best**2).sum(), abs=1e-4)
    assert part.n_parameters == 3 * 4 + 3


def test_heads_are_chosen_by_samples_that_are_not_in_the_means() -> None:
    """Of three samples a class any head knows those that its means are of."""
    generator = torch.Generator().manual_seed(0)
    classes = [0, 1] * 3
    noise = [torch.randn(6, 30, generator=generator) for _ in range(24)]
    telling = torch.eye(2)[classes].repeat_interleave(15, dim=1) + 0.1
    given = torch.cat([*noise[:20], telling, *noise[20:]], dim=1)
    ((part, _),) = Heads.fits(lesson_of(given, classes, 2, (30,) * 25))
    columns = part.numbers["columns"].tolist()
    assert len(columns) == 20
    assert [600, 630] in columns
    assert part.n_parameters == 20 * 2 * 30
    said = part.logprobs(given)
    assert said.exp().sum(dim=1).tolist() == pytest.approx([1.0] * 6)
    assert said.argmax(dim=1).tolist() == classes


def test_heads_vote_and_ties_go_by_their_cosines() -> None:
    """Two heads of one number each way: they agree, or one of them is surer."""
    given = torch.tensor([[1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 1.0]] * 2)
    ((part, _),) = Heads.fits(lesson_of(given, [0, 1] * 2, 2, (2, 2)))
    asked = torch.tensor([[1.0, 0.0, 1.0, 0.0], [1.0, 0.2, 0.0, 1.0], [1.0, 0.0, 0.2, 1.0]])
    said = part.logprobs(asked).exp()
    sure = torch.tensor([1.0, 0.0]).softmax(dim=0)[0].item()
    assert said[0].tolist() == pytest.approx([(2 + sure) / 3, (1 - sure) / 3])
    assert said.argmax(dim=1).tolist() == [0, 1, 0]
    assert (said[1:, 0] - 1 / 2).abs().max() < 0.02


def test_heads_learn_from_the_first_few_of_each_class() -> None:
    classes = [0] * 30 + [1] * 5 + [0] + [1] * 20
    wanted = Heads.wanted(classes)
    assert [classes[place] for place in wanted].count(0) == 20
    assert [place for place in wanted if classes[place] == 1][-1] == 50
    assert list(Prior.wanted(classes)) == list(range(56))


@pytest.mark.parametrize("part", PARTS)
def test_a_class_that_train_lacks_is_possible_and_never_the_answer(part: type[AnswerPart]) -> None:
    generator = torch.Generator().manual_seed(0)
    classes = [0, 2] * 10
    given = torch.randn(20, 3, generator=generator) + 3 * torch.eye(3)[classes]
    for one, loss in part.fits(lesson_of(given, classes, 3, (3,))):
        said = one.logprobs(torch.cat([given, -given]))
        assert said.isfinite().all()
        assert torch.isfinite(torch.tensor(loss))
    assert 1 not in said.argmax(dim=1)


@pytest.mark.parametrize("part", PARTS)
def test_what_is_saved_is_read_again(part: type[AnswerPart], tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    classes = [0, 1] * 10
    given = torch.randn(20, 2, generator=generator) + torch.eye(2)[classes]
    made = last(part, lesson_of(given, classes, 2, (2,)))
    assert made.n_parameters == part.counted(2, (2,))
    made.save(tmp_path / "part", ["benign", "malignant"])
    found, phrases = read_part(tmp_path / "part")
    assert (type(found), phrases) == (part, ["benign", "malignant"])
    assert torch.equal(found.logprobs(given), made.logprobs(given))


def test_a_file_that_is_no_part_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "part"
    path.write_bytes(b"not a part")
    with pytest.raises(LayerhouseError, match="is no part that answers"):
        read_part(path)
    save_file({"added": torch.zeros(2)}, path, {"part": "answer/magic", "classes": "[]"})
    with pytest.raises(LayerhouseError, match="holds answer/magic, which is not known"):
        read_part(path)
    Prior({"added": torch.zeros(2)}).save(path, ["a", "b", "c"])
    with pytest.raises(LayerhouseError, match="does not hold the numbers of answer/prior"):
        read_part(path)
    Prior({"added": torch.tensor([0.0, float("nan")])}).save(path, ["a", "b"])
    with pytest.raises(LayerhouseError, match="not finite in added"):
        read_part(path)


def _projections(model: Opened) -> list[str]:
    session, (picture, *_) = model.session, model.pictures
    places = output_projections(session, session.on_device(session.encode([picture])))
    assert all(place.widths == (16,) * 4 for place in places)
    return [place.path.removeprefix("model.language_model.layers.") for place in places]


def test_outputs_of_heads_are_what_the_projection_behind_them_is_given(llava: Opened) -> None:
    assert _projections(llava) == [f"{block}.self_attn.o_proj" for block in range(4)]
    session = llava.session
    places = output_projections(session, session.on_device(session.encode(llava.pictures)))
    listener = Listener(session, places)
    session.forward(session.on_device(session.encode(llava.pictures)))
    together = listener.take()
    with pytest.raises(LayerhouseError, match="did not run where it was listened to"):
        listener.take()
    session.forward(session.on_device(session.encode(llava.pictures[1:])))
    assert together.shape == (2, 4 * 64)
    assert torch.allclose(listener.take()[0], together[1], atol=1e-4)
    listener.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("language", "changes"),
    [("phi3", {}), ("qwen3_moe", {"head_dim": 16, "num_experts": 4, "num_experts_per_tok": 2})],
)
def test_fused_matrices_and_experts_leave_heads_to_be_told_apart(
    language: str, changes: dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where queries, keys and values are one matrix, it is defined behind the projection."""
    from tests.extract import tiny_families

    plain = tiny_families.text
    monkeypatch.setattr(tiny_families, "text", lambda *of: plain(*of, **changes))
    monkeypatch.setitem(
        FAMILIES, language, lambda: _llava(language, clip(), vicuna(), with_cls=True)
    )
    save_family(language, tmp_path / language)
    found = _projections(opened(tmp_path / language))
    assert found == [f"{block}.self_attn.o_proj" for block in range(4)]
