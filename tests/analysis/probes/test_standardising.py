"""Features far from 0, as states of large models are, lose nothing by being standardised."""

import pytest
import torch

from analysis.probes.standardising import centred, standardise

FAR = 1e5
SPACING = 2**-7
"""Of float32 numbers about there."""


@pytest.fixture
def features() -> torch.Tensor:
    """Two cells of 300 vectors; the last of four features is always the same."""
    drawn = torch.randn(2, 300, 4, generator=torch.Generator().manual_seed(0)) + FAR
    drawn[..., -1] = FAR
    return drawn


def test_the_mean_is_taken_twice_so_that_nothing_of_a_large_offset_is_left(
    features: torch.Tensor,
) -> None:
    whole = features.double()
    moments = centred(features)
    assert features.double().mean(dim=1).abs().max() < 1e-6
    assert (moments.mean.double() - whole.mean(dim=1)).abs().max() <= SPACING / 2 + 1e-9
    assert (features + moments.mean[:, None] - whole).abs().max() <= SPACING


def test_variances_are_1_and_what_never_changes_is_0(features: torch.Tensor) -> None:
    moments = standardise(features)
    spread = features[..., :3].double().square().mean(dim=1)
    assert spread == pytest.approx(torch.ones(2, 3), abs=1e-5)
    assert not features[..., 3].any()
    assert not moments.inverse_scale[:, 3].any()


def test_what_differs_by_rounding_alone_is_constant_and_what_lies_about_0_is_not() -> None:
    signs = torch.tensor([1.0, -1.0]).repeat(50)
    rounding, about_0 = FAR + signs * SPACING, signs * 1e-3
    moments = centred(torch.stack([rounding, about_0], dim=-1)[None])
    assert moments.mean[0, 1] == 0
    assert moments.inverse_scale[0].tolist() == [0.0, pytest.approx(1000)]
