"""Volumes of NIfTI open slice by slice, the way radiologists look at them."""

from __future__ import annotations

import gzip
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


def stored(path: Path, values: np.ndarray, **header: object) -> str:
    """A file whose header says what it is given, and whose voxels are these values as they are."""
    made = nibabel.Nifti1Header()
    made.set_data_shape(values.shape)
    made.set_data_dtype(values.dtype)
    made.set_sform(np.eye(4), 1)
    for name, said in {"vox_offset": 352, "magic": b"n+1", **header}.items():
        made[name] = said
    path.write_bytes(made.binaryblock + b"\0" * 4 + values.tobytes(order="F"))
    return str(path)


@pytest.mark.parametrize(
    ("slope", "intercept", "meant"),
    [(0, 9, [0, 1]), (np.nan, np.nan, [0, 1]), (np.inf, 0, [0, 1]), (-1, 1, [1, 0])],
)
def test_a_slope_of_nothing_is_none(
    tmp_path: Path, slope: float, intercept: float, meant: list[int]
) -> None:
    values = np.array([1, 0], np.int64).reshape(2, 1, 1)  # the right one is shown first
    path = stored(tmp_path / "a.nii", values, scl_slope=slope, scl_inter=intercept)
    shown = np.asarray(open_image(f"{path}#range=0,1"))[0, :, 0]
    assert (shown / 255).tolist() == meant


def test_the_axes_say_how_large_voxels_are(tmp_path: Path) -> None:
    """Not the sizes that a header repeats, which programs forget to change."""
    path = stored(tmp_path / "a.nii", np.ones((4, 6, 3), np.int16), srow_x=[2, 0, 0, 0])
    assert open_image(f"{path}#frame=1&range=0,1").size == (8, 6)


def test_axes_that_lead_nowhere_and_names_of_other_forms_are_told(tmp_path: Path) -> None:
    values = np.zeros((4, 6, 3), np.int16)
    for number in (0, np.nan):
        path = stored(tmp_path / "a.nii", values, srow_x=[number] * 4)
        with pytest.raises(LayerhouseError, match=r"numbers that give them no place .* set these"):
            open_image(f"{path}#frame=1&range=0,1")
    plain = Path(stored(tmp_path / "b.nii", values)).read_bytes()
    (tmp_path / "c.nii.gz").write_bytes(plain)
    (tmp_path / "b.nii").write_bytes(gzip.compress(plain))
    for name, message in (("b.nii", r"is compressed .*\.nii\.gz"), ("c.nii.gz", r"is not .*\.nii")):
        with pytest.raises(LayerhouseError, match=f"{message}$"):
            open_image(f"{tmp_path}/{name}#frame=1&range=0,1")


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
