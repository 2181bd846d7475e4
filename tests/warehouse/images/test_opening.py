"""Every kind of uri opens as upright 8-bit RGB, and what cannot be opened is named."""

import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from warehouse.errors import LayerhouseError
from warehouse.images import image_sha256, open_image


def test_a_digit_is_read_without_importing_scikit_learn() -> None:
    code = (
        "import sys; from warehouse.images import open_image; "
        "image = open_image('sklearn-digits:17'); "
        "print(image.size, image.mode, 'sklearn' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(8, 8) RGB False"


def test_digits_are_those_of_scikit_learn_at_full_contrast() -> None:
    from sklearn.datasets import load_digits

    expected = load_digits().images[1796] / 16 * 255
    assert np.abs(np.asarray(open_image("sklearn-digits:1796"))[..., 0] - expected).max() <= 0.5
    assert np.asarray(open_image("sklearn-digits:0")).max() == 239  # the value 15 of 16


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK"])
def test_files_of_any_mode_become_rgb(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "image.tiff"
    Image.new("RGB", (5, 4), (255, 255, 255)).convert(mode).save(path)
    image = open_image(str(path))
    assert (image.mode, image.size) == ("RGB", (5, 4))
    assert np.asarray(image).min() == 255


def test_an_image_is_turned_upright(tmp_path: Path) -> None:
    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turn by 90° clockwise
    Image.new("RGB", (40, 20)).save(path, exif=exif)
    assert open_image(str(path)).size == (20, 40)


def test_an_item_of_an_archive_opens_and_a_replaced_archive_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    images = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    np.savez(path, train_images=images)
    assert np.asarray(open_image(f"{path}#train_images/1"))[0, 0, 0] == 9
    assert image_sha256(f"{path}#train_images/1") == sha256(images[1].tobytes()).hexdigest()
    np.savez(path, train_images=images + 1, other=images)
    assert np.asarray(open_image(f"{path}#train_images/1"))[0, 0, 0] == 10


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("broken.png", b"no image", "cannot be decoded"),
        ("cut.png", None, "cannot be decoded"),
        ("broken.npz#train_images/0", b"no archive", "cannot be decoded"),
    ],
)
def test_what_cannot_be_decoded_is_named(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    path = tmp_path / name.partition("#")[0]
    if content is None:
        noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(noise).save(path)
        content = path.read_bytes()[:2000]
    path.write_bytes(content)
    with pytest.raises(LayerhouseError, match=message) as caught:
        open_image(str(tmp_path / name))
    assert name in str(caught.value)


def test_a_missing_file_item_or_array_is_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", train_images=np.zeros((2, 3, 3), np.uint8))
    for uri, message in {
        "gone.png": "gone.png does not exist",
        "set.npz#train_images/2": "outside its 2 images",
        "set.npz#test_images/0": "no array test_images; it has train_images",
    }.items():
        with pytest.raises(LayerhouseError, match=message):
            open_image(str(tmp_path / uri))
    with pytest.raises(LayerhouseError, match="outside its 1,797 images"):
        open_image("sklearn-digits:1797")


def test_images_of_absurd_size_are_refused(tmp_path: Path) -> None:
    Image.new("1", (14_000, 13_000)).save(tmp_path / "huge.png")
    with pytest.raises(LayerhouseError, match="pixels"):
        open_image(str(tmp_path / "huge.png"))
    Image.new("L", (20, 20)).save(tmp_path / "small.png")
    with pytest.raises(LayerhouseError, match="20 × 20 pixels, more than the limit of 399"):
        open_image(str(tmp_path / "small.png"), max_pixels=399)
