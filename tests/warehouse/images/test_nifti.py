"""Volumes of NIfTI open slice by slice, the way radiologists look at them."""

from __future__ import annotations

import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest

from warehouse.errors import LayerhouseError
from warehouse.images import open_image


def volume(path: Path, values: np.ndarray, axes: tuple[int, int, int] = (1, 1, 1)) -> str:
    """A file whose axes go to the right, to the front and up, or the other way where -1."""
    nibabel.save(nibabel.Nifti1Image(values, np.diag([*axes, 1])), path)
    return str(path)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("axes", [(1, 1, 1), (-1, 1, 1), (1, -1, -1)])
def test_a_slice_has_the_front_up_and_the_right_on_the_left(
    tmp_path: Path, suffix: str, axes: tuple[int, int, int]
) -> None:
    values = np.zeros((4, 6, 3), np.int16)
    values[3, 5, 2] = 400  # rightmost, frontmost, uppermost
    values[0, 5, 2] = 200
    stored = values[:: axes[0], :: axes[1], :: axes[2]]
    path = volume(tmp_path / f"a{suffix}", np.ascontiguousarray(stored), axes)
    with pytest.raises(LayerhouseError, match=r"holds 3 slices.*--frame middle"):
        open_image(path)
    found = np.asarray(open_image(f"{path}#frame=3&range=0,400"))[..., 0]
    assert found.shape == (6, 4)
    assert (found[0, 0], found[0, 3], found.sum()) == (255, 128, 383)
    assert np.asarray(open_image(f"{path}#frame=1&range=0,400")).max() == 0


def test_voxels_that_are_not_square_are_stretched(tmp_path: Path) -> None:
    """Slices of a volume that was taken from the side are thin bands otherwise."""
    path = volume(tmp_path / "a.nii", np.ones((4, 6, 3), np.int16), (-5, 1, 1))
    assert open_image(f"{path}#frame=1&range=0,1").size == (20, 6)
    path = volume(tmp_path / "b.nii", np.ones((4, 6, 3), np.int16), (1, 2, 9))
    assert open_image(f"{path}#frame=1&range=0,1").size == (4, 12)


def test_values_are_those_after_the_slope_of_the_file(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(np.array([[[0.0]], [[0.2]], [[1.0]]]), np.diag([-1, 1, 1, 1]))
    image.set_data_dtype(np.uint8)
    nibabel.save(image, tmp_path / "a.nii")
    found = np.asarray(open_image(f"{tmp_path}/a.nii#range=0,1"))
    assert found[0, :, 0].tolist() == [0, 51, 255]


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((4, 4, 3, 2), r"holds several volumes \(4 × 4 × 3 × 2\), .*four_to_three"),
        ((4, 4, 1), "holds NIfTI int16 values"),
    ],
)
def test_other_volumes_and_missing_ranges_are_named(
    tmp_path: Path, shape: tuple[int, ...], message: str
) -> None:
    path = volume(tmp_path / "a.nii.gz", np.zeros(shape, np.int16))
    with pytest.raises(LayerhouseError, match=rf"a\.nii\.gz {message}"):
        open_image(path)


def test_a_pair_of_files_and_complex_numbers_are_named(tmp_path: Path) -> None:
    """The hash of a header alone would count volumes of one shape as copies of one."""
    values = np.zeros((4, 4, 3), np.int16)
    nibabel.save(nibabel.Nifti1Pair(values, np.eye(4)), tmp_path / "a.img")
    nibabel.save(nibabel.Nifti2Pair(values, np.eye(4)), tmp_path / "b.img")
    for name in ("a", "b"):
        with pytest.raises(
            LayerhouseError, match=rf"{name}\.hdr is the header of a pair.*\.nii\.gz"
        ):
            open_image(f"{tmp_path}/{name}.hdr#frame=1&range=0,1")
    path = volume(tmp_path / "c.nii", values.astype(np.complex64))
    with pytest.raises(LayerhouseError, match=r"complex numbers, .*; save their magnitude"):
        open_image(f"{path}#frame=1&range=0,1")


def test_what_is_cut_off_or_cannot_be_read_without_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(volume(tmp_path / "a.nii.gz", np.zeros((9, 9, 9), np.int16)))
    (tmp_path / "cut.nii.gz").write_bytes(path.read_bytes()[:60])
    with pytest.raises(LayerhouseError, match=r"cut\.nii\.gz cannot be decoded as an image"):
        open_image(f"{tmp_path}/cut.nii.gz#frame=1&range=0,1")
    monkeypatch.setitem(sys.modules, "nibabel", None)
    with pytest.raises(LayerhouseError, match=r"pip install 'layerhouse\[nifti\]'"):
        open_image(f"{path}#frame=1")
