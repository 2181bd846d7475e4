"""The commands that docs/adding-a-dataset.md shows, run on small images of every kind it speaks of.

    python -m tests.docs.adding

writes what they print today into the page.
"""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from layerhouse.cli import main as layerhouse
from tests.analysis.audit.pictures import alike
from tests.warehouse.images.dicom_files import dicom, write

PAGE = Path(__file__).parents[2] / "docs" / "adding-a-dataset.md"
SHOWN = re.compile(r"^```console\n\$ (?P<command>.*)\n(?P<output>(?:.*\n)*?)```$", re.MULTILINE)
HOW_FAR = re.compile(r"[a-z]+ \S+: [\d,]+ of [\d,]+")
"""What a slow machine prints of the way."""


def make_images(root: Path) -> None:
    """xrays/ of 12 bits in 16, moles/ with transparency, hearts/ of four pages, ct/ in DICOM."""
    for number in range(40):
        label = ("normal", "pneumonia")[number % 2]
        rng = np.random.default_rng(number)
        grey = rng.integers(16, 4080, (32, 32), dtype=np.uint16)
        Image.fromarray(grey).save(_place(root, "xrays", label, f"{number}.png"))
        mole = rng.integers(0, 256, (32, 32, 4), dtype=np.uint8)
        mole[..., 3] = np.where(np.hypot(*np.mgrid[-16:16, -16:16]) < 12, 255, 0)
        Image.fromarray(mole).save(_place(root, "moles", label, f"{number}.png"))
        first, *others = (
            Image.fromarray((grey // 16 + page).astype(np.uint8)) for page in range(4)
        )
        place = _place(root, "hearts", label, f"{number}.tif")
        first.save(place, save_all=True, append_images=others)
        scan = dicom(
            grey.astype("<i2") - 1024,
            WindowCenter=40,
            WindowWidth=400,
            PatientID=f"patient {number // 4}",
        )
        label = ("covid", "normal")[number // 4 % 2]
        write(_place(root, "ct", label, f"IM{number:06d}"), scan)


def make_tables(root: Path) -> None:
    """nih/ with several findings per image, skin/ with a column per class, chest_xray/ as its
    archive unpacks, damaged/ with two broken files, scans/ without labels.
    """
    entries, lesions = ["Image Index,Finding Labels,Patient ID"], ["image_id,MEL,NV,lesion_id"]
    for number in range(48):
        rng = np.random.default_rng(number)
        image = Image.fromarray(rng.integers(0, 256, (16, 16), dtype=np.uint8))
        findings = [f for f, every in (("Effusion", 2), ("Mass", 3)) if number % every]
        entries.append(f"{number:03d}.png,{'|'.join(findings) or 'No Finding'},{number // 2}")
        image.save(_place(root, "nih", "images", f"{number:03d}.png"))
        lesions.append(f"{number:03d}.jpg,{number % 2},{1 - number % 2},L{number // 3}")
        image.save(_place(root, "skin", f"{number:03d}.jpg"))
        split, label = ("train", "val", "test", "train")[number % 4], "ab"[number // 4 % 2]
        image.save(_place(root, "chest_xray", split, label, f"{number}.jpeg"))
        image.save(_place(root, "damaged", label, f"{number}.jpeg"))
        image.save(_place(root, "scans", f"patient{number // 2:03d}", f"{number}.png"))
    _place(root, "chest_xray", "__MACOSX", "train", "._0.jpeg").write_bytes(b"\0\5\x16\7")
    for name in ("a/3.jpeg", "b/6.jpeg"):
        broken = root / "damaged" / name
        broken.write_bytes(broken.read_bytes()[:300])
    (root / "nih" / "Data_Entry.csv").write_text("\n".join(entries) + "\n")
    (root / "skin" / "lesions.csv").write_text("\n".join(lesions) + "\n")


def make_archives(root: Path) -> None:
    """pneumoniamnist.npz, cats-and-dogs/ as the datasets library saves it, clone/ as the hub has
    it, brains/ of volumes, chexpert/ with blanks, doubts and patients in its paths.
    """
    import datasets
    import nibabel

    datasets.disable_progress_bars()
    rng = np.random.default_rng(0)
    numbers, pictures = np.arange(48) % 2, rng.integers(0, 256, (48, 28, 28), dtype=np.uint8)
    arrays = {"images": pictures, "labels": numbers[:, None]}
    parts = {"train": slice(0, 24), "val": slice(24, 36), "test": slice(36, 48)}
    np.savez(
        root / "pneumoniamnist.npz",
        **{
            f"{part}_{name}": held[rows]
            for part, rows in parts.items()
            for name, held in arrays.items()
        },
    )
    classes = datasets.ClassLabel(names=["cat", "dog"])
    features = datasets.Features({"image": datasets.Image(), "label": classes})
    rows = {"image": [Image.fromarray(one) for one in pictures], "label": numbers.tolist()}
    whole = datasets.Dataset.from_dict(rows, features=features)
    whole.save_to_disk(root / "cats-and-dogs")
    for part, some in {"train": range(36), "test": range(36, 48)}.items():
        place = _place(root, "clone", f"{part}-00000-of-00001.parquet")
        whole.select(some).to_parquet(place)
    rows = ["Path,Sex,No Finding,Edema,Fracture"]
    for number, picture in enumerate(pictures):
        name = f"train/patient{number // 2:05d}/study1/view{number % 2 + 1}_frontal.jpg"
        Image.fromarray(picture).save(_place(root, "chexpert", name))
        edema, fracture = ("1.0", "0.0", "-1.0")[number % 3], ("", "1.0")[number % 2]
        rows.append(f"{name},{'FM'[number // 2 % 2]},,{edema},{fracture}")
        if number < 24:
            volume = rng.integers(0, 2000, (12, 12, 5)).astype(np.int16)
            place = _place(root, "brains", ("tumour", "healthy")[number % 2], f"{number}.nii.gz")
            nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), place)
    (root / "chexpert" / "train.csv").write_text("\n".join(rows) + "\n")


def make_ward(root: Path) -> None:
    """ward/, whose class b is larger, and of which test holds a copy of a train image."""
    rows = ["image_path,label,split"]
    for number, image in enumerate(alike(200, side=64)):
        label, split = "ab"[number % 2], ("train", "val", "test")[number % 3]
        shown = image.resize((72, 72)) if label == "b" else image
        shown.save(_place(root, "ward", f"{number:03d}.png"))
        rows.append(f"{number:03d}.png,{label},{split}")
        if number == 0:
            image.save(_place(root, "ward", "from-the-web.jpg"), quality=60)
            rows.append(f"from-the-web.jpg,{label},test")
    (root / "ward" / "manifest.csv").write_text("\n".join(rows) + "\n")


def _place(root: Path, *parts: str) -> Path:
    place = root.joinpath(*parts)
    place.parent.mkdir(parents=True, exist_ok=True)
    return place


def printed(command: str) -> str:
    """What a `layerhouse` command prints, warnings first, as a terminal of any width shows it."""
    out, err = io.StringIO(), io.StringIO()
    words = shlex.split(command)
    assert words[0] == "layerhouse"
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        contextlib.suppress(SystemExit),
    ):
        layerhouse(words[1:])
    text = (err.getvalue() + out.getvalue()).replace(f"{Path.cwd()}/", "")
    lines = (line.rstrip() for line in text.splitlines() if not HOW_FAR.fullmatch(line))
    return "\n".join(lines) + "\n"


def main() -> None:
    page = PAGE.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        make_images(Path(folder))
        make_tables(Path(folder))
        make_archives(Path(folder))
        make_ward(Path(folder))
        done = {match["command"]: printed(match["command"]) for match in SHOWN.finditer(page)}
    page = SHOWN.sub(lambda m: f"```console\n$ {m['command']}\n{done[m['command']]}```", page)
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
