"""Every kind of fault does what its severity says."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from extract.faults.effects import ImageFault, Strike
from extract.faults.erasure import class_differences
from extract.faults.kinds import OWN_KINDS
from extract.faults.kinds.drop import Drop
from extract.faults.kinds.erase import Erase
from extract.faults.kinds.head import Head
from extract.faults.kinds.lowres import Lowres
from extract.faults.kinds.noise import Noise
from extract.faults.kinds.quantise import Quantise
from extract.faults.kinds.rank import Rank
from extract.faults.spec import parse_fault
from tests.extract.tiny_families import picture
from warehouse.errors import UsageError
from warehouse.variants import IMAGE_FAULTS


def test_an_erasure_strikes_its_share_of_samples_and_a_stronger_one_more_of_the_same() -> None:
    strikes = Erase().strikes
    names = [f"sample-{i}" for i in range(2000)]
    weak, strong = (parse_fault(f"erase@vision:{share}") for share in (0.3, 0.6))
    struck = [{name for name in names if strikes(fault, name)} for fault in (weak, strong)]
    assert len(struck[0]) / len(names) == pytest.approx(0.3, abs=0.04)
    assert len(struck[1]) / len(names) == pytest.approx(0.6, abs=0.04)
    assert struck[0] < struck[1]
    assert all(strikes(parse_fault("erase@vision"), name) for name in names)


def test_a_head_fault_permutes_the_tokens_of_a_share_of_classes() -> None:
    permutation = Head().permutation
    phrases = [[token] for token in range(10)]
    permuted = permutation(parse_fault("head@answer:0.3"), phrases)
    assert len(permuted) == 3
    assert set(permuted) == set(permuted.values())
    assert all(token != other for token, other in permuted.items())
    assert len(permutation(parse_fault("head@answer:0.01"), phrases)) == 2
    with pytest.raises(UsageError, match="at least two classes"):
        permutation(parse_fault("head@answer"), [[1], [1]])


def _strike(severity: float, learned: object = None) -> Strike:
    return Strike(
        severity,
        torch.Generator().manual_seed(0),
        torch.Generator().manual_seed(1),
        learned,
    )


def test_edits_do_what_their_severity_says() -> None:
    rows = torch.randn(50, 32, generator=torch.Generator().manual_seed(2))
    noisy = Noise().change_rows(rows, _strike(2.0)) - rows
    assert float(noisy.std() / rows.std()) == pytest.approx(2.0, rel=0.1)
    dropped = Drop().change_rows(rows, _strike(0.3))
    assert int((dropped == 0).all(dim=1).sum()) == 15
    squeezed = Rank().change_rows(rows, _strike(3))
    assert int(torch.linalg.matrix_rank(squeezed)) == 3
    coarse = Quantise().change_rows(rows, _strike(2))
    assert len(coarse.unique()) <= 4
    assert float((coarse - rows).abs().max()) <= float((rows.max() - rows.min()) / 6) + 1e-5


def test_erasing_leaves_all_class_means_alike() -> None:
    generator = torch.Generator().manual_seed(0)
    means = torch.randn(3, 5, 8, generator=generator)
    images = [means[i % 3] + torch.randn(5, 8, generator=generator) for i in range(30)]
    found = torch.stack([torch.stack(images[c::3]).mean(dim=0) for c in range(3)])
    base = class_differences(list(found))
    erased = [Erase().change_rows(image, _strike(1.0, base)) for image in images]
    after = torch.stack([torch.stack(erased[c::3]).mean(dim=0) for c in range(3)])
    assert float((after - after[0]).abs().max()) < 1e-4
    assert float((found - found[0]).abs().max()) > 0.5


def test_low_resolution_keeps_the_size_and_loses_the_detail() -> None:
    image, fault = picture(100, 80), parse_fault("lowres@vision:4")
    coarse = Lowres().change_image(image, fault)
    assert coarse.size == image.size
    assert np.asarray(coarse, float).std() < np.asarray(image, float).std()
    small = Image.new("RGB", (3, 3))
    assert Lowres().change_image(small, fault) is small


def test_the_kinds_that_change_images_are_those_that_pages_tell() -> None:
    assert tuple(k.name for k in OWN_KINDS if isinstance(k, ImageFault)) == IMAGE_FAULTS
