"""Judging trials: the diagnosis of models that are in no lake, by the same views and bootstrap.

A trial's rows go to a catalogue in memory that holds the dataset and the model's loci; verdicts are
read there exactly as `diagnose` reads them from a lake. The unmodified model's own accuracy
after vision takes the place of the baseline: a trial asks what a fault took from this model, not
how good the model is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from analysis.diagnosis import (
    Finding,
    ModeLoss,
    Predictor,
    Resampling,
    interval_rows,
    read_evidence,
    read_finding,
)
from analysis.probes import Fit, LinearProbe, Samples, Subject, fit_vectors, tables_of
from analysis.self_test.closed_form import (
    Candidate,
    ClosedForm,
    Strikable,
    balanced_score,
    score,
)
from analysis.self_test.mean_pooled import mean_pooled_places, mean_pooled_verdict
from warehouse.catalogue import Recording, Scratch
from warehouse.vocabulary import ANSWER, BALANCED_ACCURACY, SPLITS, VISION, Cell

Floats = NDArray[np.float64]
Rows = list[dict[str, Any]]
UNMODIFIED = "unmodified"
PROBE = LinearProbe()
SCORED = ("val", "test")


@dataclass(frozen=True)
class Judgement:
    """A trial's verdict with what is behind it; all numbers are by the dataset's score."""

    finding: Finding
    mean_pooled: str
    answered: float

    @property
    def verdict(self) -> str:
        return self.finding.verdict

    def loss(self, stage: str) -> ModeLoss:
        return next(mode for mode in self.finding.modes if mode.stage == stage)


class Judge:
    """Judges what variants of one model show of one dataset.

    `described` are the rows of the tables model, module and layer of the unmodified model;
    `dataset` those of dataset, class, sample and sample_fold, of one repetition where there are
    folds. All variants are judged under its name.
    """

    def __init__(
        self,
        described: Mapping[str, Rows],
        dataset: Mapping[str, pl.DataFrame],
        healthy: Recording,
        options: Resampling,
    ) -> None:
        self.options = options
        self.model_id: str = described["model"][0]["model_id"]
        self.dataset_id: str = dataset["dataset"]["dataset_id"][0]
        self._dataset = dict(dataset)
        self.score: str = dataset["dataset"]["score"][0]
        self._scratch = Scratch()
        self._scratch.replace(described)
        self._scratch.replace({name: frame.to_arrow() for name, frame in dataset.items()})
        self._healthy = healthy
        self._samples = self._samples_of(dataset["sample"])
        self._fits = {fit.cell: fit for fit in self._fit(healthy, healthy.vectors)}
        self._pooled: Floats | None = None
        self.closed_form = self._learn()

    def __call__(self, shown: Recording) -> Judgement:
        """The verdict on one variant."""
        changed = {
            cell: vectors
            for cell, vectors in shown.vectors.items()
            if not np.array_equal(vectors, self._healthy.vectors[cell])
        }
        fits = {**self._fits, **{fit.cell: fit for fit in self._fit(shown, changed)}}
        return self._judge(list(fits.values()), shown.answers, self._samples)

    def subset(self, seed: int, share: float) -> Judgement:
        """The unmodified model on a random share of the groups of every split, drawn by the seed.

        Everything is fitted and chosen anew on those, as if other patients had been collected.
        """
        rng = np.random.default_rng(seed)
        whole = self._dataset["sample"]
        kept = []
        for split in SPLITS:
            groups = whole.filter(pl.col("split") == split)["group_id"].unique().sort()
            if groups.is_empty():  # under folds all are test
                continue
            n = max(round(share * len(groups)), 1)
            kept += rng.choice(groups.to_numpy(), n, replace=False).tolist()
        frame = whole.filter(pl.col("group_id").is_in(kept))
        samples = self._samples_of(frame)
        folds = self._dataset["sample_fold"]
        mine = folds.filter(pl.col("sample_id").is_in(frame["sample_id"].implode()))
        self._scratch.replace({"sample": frame.to_arrow(), "sample_fold": mine.to_arrow()})
        try:
            fits = self._fit(self._healthy, self._healthy.vectors, samples)
            held = set(frame["sample_id"])
            answers = [row for row in self._healthy.answers if row["sample_id"] in held]
            return self._judge(fits, answers, samples)
        finally:
            self._scratch.replace({"sample": whole.to_arrow(), "sample_fold": folds.to_arrow()})

    def _samples_of(self, frame: pl.DataFrame) -> Samples:
        order = pl.col("split").replace_strict(SPLITS, list(range(len(SPLITS))))
        ordered = frame.sort(order, "sample_id")
        folds = self._dataset["sample_fold"].select("sample_id", "fold")
        dealt = ordered.select("sample_id").join(folds, on="sample_id", maintain_order="left")
        return Samples(
            ids=ordered["sample_id"].to_numpy().astype(object),
            class_index=ordered["class_index"].to_numpy().astype(np.int64),
            split=ordered["split"].to_numpy().astype(object),
            n_classes=len(self._dataset["class"]),
            n_registered=len(frame),
            folds=dealt["fold"].to_numpy().astype(np.int64)[None] if len(dealt) else None,
            score=self.score,
        )

    def _fit(
        self,
        shown: Recording,
        vectors: Mapping[Cell, NDArray[np.float32]],
        samples: Samples | None = None,
    ) -> list[Fit]:
        samples = samples or self._samples
        place = {name: index for index, name in enumerate(shown.sample_ids)}
        order = np.array([place[name] for name in samples.ids])
        given = {Cell(*cell): values[order] for cell, values in vectors.items()}
        return fit_vectors(PROBE, samples, self.dataset_id, given)

    @property
    def answered(self) -> float:
        """What the unmodified model's answers score on test."""
        return self.closed_form.accuracies(0, 0)[ANSWER]

    def accuracy(self, answers: Rows) -> float:
        """What these answers score on test; one that was not parsed is wrong."""
        rows = self._samples.rows("test")
        truth = dict(zip(self._samples.ids[rows], self._samples.class_index[rows], strict=True))
        own = [row for row in answers if row["sample_id"] in truth]
        labels = np.array([truth[row["sample_id"]] for row in own])
        named = [row["predicted_class_index"] if row["parsed"] else -1 for row in own]
        right = np.array(named) == labels
        strata = labels if self.score == BALANCED_ACCURACY else np.zeros_like(labels)
        return float(np.mean([right[strata == one].mean() for one in np.unique(strata)]))

    def _learn(self) -> ClosedForm:
        """Diagnose the unmodified model and make it the reference of all that follows."""
        self._fill(list(self._fits.values()), self._healthy.answers, self._samples)
        evidence = read_evidence(self._scratch, self.model_id, self.dataset_id)
        places = mean_pooled_places(evidence)
        if places is not None:
            self._pooled = evidence.correct[evidence.rows[places[0]]]
        closed_form = self._closed_form()
        baseline, logits = self._reference(evidence.chosen[VISION])
        self._scratch.replace({"baseline": [baseline], "baseline_logit": logits})
        return closed_form

    def _reference(self, chosen: Predictor) -> tuple[dict[str, Any], Rows]:
        """The predictor that stands for the unmodified model after vision, as a baseline."""
        samples = self._samples
        baseline = {
            "baseline_id": UNMODIFIED,
            "dataset_id": self.dataset_id,
            "architecture": UNMODIFIED,
            "kind": "reference",
            "seed": 0,
            "hyperparameters": {"stands_for": list(map(str, chosen))},
            **{f"n_{split}": samples.count(split) for split in SPLITS},
            "fit_seconds": 0.0,
        }
        logits = [
            {
                "baseline_id": UNMODIFIED,
                "sample_id": name,
                "split": split,
                "logits": np.eye(samples.n_classes)[max(index, 0)].tolist(),
                # A reply that named no class is never right.
                "predicted_class_index": index,
            }
            for split in SCORED
            for name, index in self._after_vision(chosen, split).items()
        ]
        return baseline, logits

    def _after_vision(self, chosen: Predictor, split: str) -> dict[str, int]:
        """What stands after vision says of each sample; each fold has chosen for itself."""
        samples = self._samples
        if samples.folds is None:
            return self._predicted(chosen, split)
        rows = self._scratch.sql(
            "SELECT fold, module, layer, readout, kind FROM fold_choice WHERE stage = 'vision'"
        ).fetchall()
        said = {fold: self._predicted(tuple(place), split) for fold, *place in rows}
        return {
            name: said[fold][name]
            for name, fold in zip(samples.ids, samples.folds[0].tolist(), strict=True)
        }

    def _predicted(self, place: Predictor, split: str) -> dict[str, int]:
        """What a predictor says as val or test of each such sample, in their order; -1 where a
        reply names no class."""
        module, layer, readout, _ = place
        names = self._samples.ids[self._samples.predicted(split)]
        if module == ANSWER:
            said = {
                row["sample_id"]: row["predicted_class_index"] if row["parsed"] else -1
                for row in self._healthy.answers
            }
            return {name: said[name] for name in names}
        assert layer is not None
        fit = self._fits[Cell(module, layer, readout)]
        logits = fit.val_logits if split == "val" else fit.test_logits
        return dict(zip(names, logits.argmax(axis=1).tolist(), strict=True))

    def _closed_form(self) -> ClosedForm:
        rows = self._scratch.sql(
            "SELECT stage, depth, readout, kind, module, layer FROM stage_candidate"
        ).fetchall()
        scores: dict[Predictor, tuple[Strikable, Strikable]] = {}
        candidates = []
        for stage, depth, readout, kind, module, layer in rows:
            place = (module, layer, readout, kind)
            if place not in scores:
                scores[place] = self._scores(place)
            val, test = scores[place]
            candidates.append(Candidate(stage, depth, readout, kind, val, test))
        return ClosedForm(candidates)

    def _scores(self, place: Predictor) -> tuple[Strikable, Strikable]:
        """How good a predictor of the unmodified model is on val and on test."""
        found = []
        for split in SCORED:
            rows = self._samples.predicted(split)
            predicted = np.array(list(self._predicted(place, split).values()))
            labels, n_classes = self._samples.class_index[rows], self._samples.n_classes
            of = balanced_score if self.score == BALANCED_ACCURACY else score
            found.append(of(predicted, labels, n_classes, is_probe=place[0] != ANSWER))
        return found[0], found[1]

    def _judge(self, fits: list[Fit], answers: Rows, samples: Samples) -> Judgement:
        self._fill(fits, answers, samples)
        evidence = read_evidence(self._scratch, self.model_id, self.dataset_id)
        tables = interval_rows(evidence, self.options, self.model_id, self.dataset_id)
        self._scratch.replace({"stage_interval": tables["stage_interval"]})
        finding = read_finding(self._scratch, self.model_id, self.dataset_id)
        pooled = self._pooled
        if pooled is not None and len(samples.ids) < len(self._samples.ids):
            test = self._samples.ids[self._samples.rows("test")]
            pooled = pooled[np.isin(test, samples.ids[samples.rows("test")])]
        assert finding.answered is not None
        return Judgement(
            finding, mean_pooled_verdict(evidence, self.options, pooled), finding.answered
        )

    def _fill(self, fits: list[Fit], answers: Rows, samples: Samples) -> None:
        subject = Subject.of(PROBE, self.model_id, self.dataset_id, samples)
        self._scratch.replace({**tables_of(subject, fits, samples), "answer": answers})
