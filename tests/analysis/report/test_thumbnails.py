"""Pictures of samples small enough to embed."""

import base64
import io

from PIL import Image

from analysis.report.thumbnails import SIDE, thumbnail


def opened(address):
    head, _, data = address.partition(",")
    return head, Image.open(io.BytesIO(base64.b64decode(data)))


def test_a_large_image_becomes_a_few_kilobytes(tmp_path):
    path = tmp_path / "large.png"
    Image.effect_noise((1200, 600), 60).save(path)
    address = thumbnail(str(path))
    head, image = opened(address)
    assert (head, image.size) == ("data:image/jpeg;base64", (SIDE, SIDE // 2))
    assert len(address) < 12_000


def test_a_tiny_image_keeps_its_pixels():
    head, image = opened(thumbnail("sklearn-digits:17"))
    assert (head, image.size) == ("data:image/png;base64", (8, 8))


def test_the_same_image_gives_the_same_bytes():
    assert thumbnail("sklearn-digits:3") == thumbnail("sklearn-digits:3")


def test_an_image_that_went_away_has_none(tmp_path):
    assert thumbnail(str(tmp_path / "gone.png")) is None
    (tmp_path / "broken.png").write_bytes(b"no image")
    assert thumbnail(str(tmp_path / "broken.png")) is None
