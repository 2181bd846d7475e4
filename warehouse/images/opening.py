"""One way to open an image, whatever holds it: a file, a DICOM object, or one item of an array.

Pillow, NumPy and the rest are imported on the first call, so that commands without images start
fast.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from warehouse.errors import LayerhouseError

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

DIGITS_SCHEME = "sklearn-digits:"
DICOM_SUFFIXES = (".dcm", ".dicom")
MAX_PIXELS = 89_478_485  # Pillow's own limit against decompression bombs: 256 MiB of RGB
_SIXTEEN_BIT = {"I", "I;16", "I;16B", "I;16L", "I;16N"}


def open_image(uri: str, *, max_pixels: int = MAX_PIXELS) -> Image:
    """The image behind `uri` as 8-bit RGB, turned upright by its EXIF orientation.

    Sixteen-bit grey images are scaled from their full range 0…65535; nothing is stretched to an
    image's own extremes, so equal tissue keeps equal grey. Raises LayerhouseError, naming the uri,
    for what is missing, cannot be decoded or has more than `max_pixels` pixels.
    """
    import PIL.Image
    from PIL import ImageOps

    warnings.filterwarnings("ignore", category=PIL.Image.DecompressionBombWarning)
    try:
        image = _open_any(uri)
        if image.width * image.height > max_pixels:
            raise LayerhouseError(
                f"{uri} has {image.width} × {image.height} pixels, more than the limit of "
                f"{max_pixels:,}; scale it down"
            )
        return _as_rgb(ImageOps.exif_transpose(image), uri)
    except LayerhouseError:
        raise
    except PIL.Image.DecompressionBombError as error:
        raise LayerhouseError(f"{uri} has far more than {max_pixels:,} pixels") from error
    except FileNotFoundError as error:
        raise LayerhouseError(f"{uri} does not exist") from error
    except Exception as error:  # decoders raise nearly anything on damaged bytes
        reason = str(error).split("\n")[0] or type(error).__name__
        raise LayerhouseError(f"{uri} cannot be decoded as an image: {reason}") from error


def image_sha256(uri: str) -> str:
    """The hash of what is stored behind `uri`: a file's content, an array item's raw bytes."""
    return hashlib.sha256(_stored_bytes(uri)).hexdigest()


def _stored_bytes(uri: str) -> bytes:
    if uri.startswith(DIGITS_SCHEME):
        return _digit(uri).tobytes()
    path, _, item = uri.rpartition("#")
    if path.endswith(".npz"):
        return _npz_item(path, item).tobytes()
    if path.endswith(".arrow"):
        return _arrow_item(path, item)
    return Path(uri).read_bytes()


def digit_arrays() -> tuple[np.ndarray, np.ndarray]:
    """scikit-learn's handwritten digits: images uint8 [1797, 8, 8] with values 0…16, labels [1797].

    Read from the file scikit-learn ships, without importing scikit-learn. (Source: E. Alpaydin and
    C. Kaynak, Optical Recognition of Handwritten Digits, UCI 1998, test part.)
    """
    return _digits()


def _open_any(uri: str) -> Image:
    import PIL.Image

    if uri.startswith(DIGITS_SCHEME):
        grey = _digit(uri) * 15.9375  # 0…16 to 0…255
        return PIL.Image.fromarray(grey.round().astype("uint8"))
    path, _, item = uri.rpartition("#")
    if path.endswith(".npz"):
        return PIL.Image.fromarray(_npz_item(path, item))
    if path.endswith(".arrow"):
        return PIL.Image.open(io.BytesIO(_arrow_item(path, item)))
    if uri.lower().endswith(DICOM_SUFFIXES):
        return PIL.Image.fromarray(_dicom_pixels(uri))
    return PIL.Image.open(uri)


def _as_rgb(image: Image, uri: str) -> Image:
    import PIL.Image

    if image.mode == "F":
        raise LayerhouseError(
            f"{uri} holds floating-point pixels without a known range; save it "
            "as an 8-bit or 16-bit image"
        )
    if image.mode in _SIXTEEN_BIT:
        import numpy as np

        # Pillow's own conversion clips everything above 255 to white
        values = np.asarray(image).astype(np.int64).clip(0, 65535)
        image = PIL.Image.fromarray((values // 257).astype(np.uint8))
    return image.convert("RGB")


@lru_cache(maxsize=1)
def _digits() -> tuple[np.ndarray, np.ndarray]:
    import gzip
    from importlib.util import find_spec

    import numpy as np

    spec = find_spec("sklearn")  # finds a top-level package without running it
    if spec is None or not spec.submodule_search_locations:
        raise LayerhouseError("the digits come with scikit-learn, which is not installed")
    path = Path(spec.submodule_search_locations[0], "datasets", "data", "digits.csv.gz")
    with gzip.open(path, "rt") as lines:
        table = np.loadtxt(lines, delimiter=",", dtype=np.float64).astype(np.uint8)
    return table[:, :-1].reshape(-1, 8, 8), table[:, -1]


def _digit(uri: str) -> np.ndarray:
    return _pick(_digits()[0], uri.removeprefix(DIGITS_SCHEME), uri)


def _pick(items: Any, index: str, uri: str) -> Any:
    if not index.isdigit() or int(index) >= len(items):
        raise LayerhouseError(f"{uri} points outside its {len(items):,} images")
    return items[int(index)]


@lru_cache(maxsize=6)
def _npz_array(path: str, key: str, _modified: float) -> np.ndarray:
    import numpy as np

    with np.load(path, allow_pickle=False) as archive:
        if key not in archive:
            raise LayerhouseError(f"{path} has no array {key}; it has {', '.join(archive.files)}")
        return archive[key]


def _npz_item(path: str, item: str) -> np.ndarray:
    key, _, index = item.rpartition("/")
    # the modification time in the cache key drops an array whose file was replaced
    return _pick(_npz_array(path, key, Path(path).stat().st_mtime), index, f"{path}#{item}")


@lru_cache(maxsize=32)
def _arrow_column(path: str, column: str, _modified: float) -> Any:
    import pyarrow as pa

    with pa.memory_map(path) as source:
        return pa.ipc.open_stream(source).read_all().column(column)


def _arrow_item(path: str, item: str) -> bytes:
    column, _, index = item.rpartition("/")
    cells = _arrow_column(path, column, Path(path).stat().st_mtime)
    return _pick(cells, index, f"{path}#{item}")["bytes"].as_py()


def _dicom_pixels(path: str) -> np.ndarray:
    """Grey [h, w] or colour [h, w, 3] uint8, through the modality and VOI transforms of the file.

    MONOCHROME1 is turned so that more is brighter. An image with neither window nor lookup table
    is shown from its own darkest to its own brightest value: nothing else is known of its range.
    """
    import numpy as np

    try:
        import pydicom
        from pydicom.pixels import apply_modality_lut, convert_color_space
    except ImportError as error:
        raise LayerhouseError(
            f"{path} is a DICOM file, which needs pydicom: pip install 'layerhouse[dicom]'"
        ) from error
    item = pydicom.dcmread(path)
    if int(item.get("NumberOfFrames", 1) or 1) > 1:
        raise LayerhouseError(f"{path} holds {item.NumberOfFrames} frames; give one frame per file")
    pixels, photometric = item.pixel_array, item.PhotometricInterpretation
    if pixels.ndim == 3:
        if photometric.startswith("YBR"):
            pixels = convert_color_space(pixels, photometric, "RGB")
        return pixels.astype(np.uint8)
    grey = _windowed(apply_modality_lut(pixels, item).astype(np.float64), item)
    grey = 1 - grey if photometric == "MONOCHROME1" else grey
    return (grey * 255).round().astype(np.uint8)


def _windowed(values: np.ndarray, item: Any) -> np.ndarray:
    """`values` (after the modality transform) as 0…1 by the VOI transform, DICOM PS3.3 C.11.2."""
    import numpy as np
    from pydicom.multival import MultiValue
    from pydicom.pixels import apply_voi_lut

    if item.get("VOILUTSequence"):
        bits = int(item.VOILUTSequence[0].LUTDescriptor[2])
        return apply_voi_lut(values.astype(np.int64), item) / (2**bits - 1)
    if item.get("WindowWidth") is None or item.get("WindowCenter") is None:
        low, high = float(values.min()), float(values.max())
        return (values - low) / (high - low) if high > low else np.zeros_like(values)
    # a list holds alternative views of the same image; the first is the default one
    center, width = (
        float(value[0] if isinstance(value, MultiValue) else value)
        for value in (item.WindowCenter, item.WindowWidth)
    )
    function = item.get("VOILUTFunction", "LINEAR")
    if function == "SIGMOID":
        return 1 / (1 + np.exp(-4 * (values - center) / width))
    if function == "LINEAR_EXACT":
        return ((values - center) / width + 0.5).clip(0, 1)
    return ((values - (center - 0.5)) / max(width - 1, 1e-9) + 0.5).clip(0, 1)
