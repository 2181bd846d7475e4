"""The class names that MedMNIST publishes with its archives, which hold numbers.

From `INFO` of the package medmnist (v2, Apache-2.0; Yang et al., Scientific Data 10, 41, 2023).
RetinaMNIST publishes numbers only: its five are the grades of the International Clinical Diabetic
Retinopathy scale that DeepDRiD, its source, was graded by.
"""

from __future__ import annotations

import re

_ORGANS = (
    *("bladder", "femur-left", "femur-right", "heart", "kidney-left", "kidney-right", "liver"),
    *("lung-left", "lung-right", "pancreas", "spleen"),
)

NAMES: dict[str, tuple[str, ...]] = {
    "pathmnist": (
        *("adipose", "background", "debris", "lymphocytes", "mucus", "smooth muscle"),
        *("normal colon mucosa", "cancer-associated stroma"),
        "colorectal adenocarcinoma epithelium",
    ),
    "chestmnist": (
        *("atelectasis", "cardiomegaly", "effusion", "infiltration", "mass", "nodule", "pneumonia"),
        *("pneumothorax", "consolidation", "edema", "emphysema", "fibrosis", "pleural", "hernia"),
    ),
    "dermamnist": (
        "actinic keratoses and intraepithelial carcinoma",
        *("basal cell carcinoma", "benign keratosis-like lesions", "dermatofibroma", "melanoma"),
        *("melanocytic nevi", "vascular lesions"),
    ),
    "octmnist": ("choroidal neovascularization", "diabetic macular edema", "drusen", "normal"),
    "pneumoniamnist": ("normal", "pneumonia"),
    "retinamnist": (
        *("no diabetic retinopathy", "mild nonproliferative diabetic retinopathy"),
        *("moderate nonproliferative diabetic retinopathy",),
        *("severe nonproliferative diabetic retinopathy", "proliferative diabetic retinopathy"),
    ),
    "breastmnist": ("malignant", "normal, benign"),
    "bloodmnist": (
        *("basophil", "eosinophil", "erythroblast"),
        "immature granulocytes(myelocytes, metamyelocytes and promyelocytes)",
        *("lymphocyte", "monocyte", "neutrophil", "platelet"),
    ),
    "tissuemnist": (
        *("Collecting Duct, Connecting Tubule", "Distal Convoluted Tubule"),
        *("Glomerular endothelial cells", "Interstitial endothelial cells", "Leukocytes"),
        *("Podocytes", "Proximal Tubule Segments", "Thick Ascending Limb"),
    ),
    "organamnist": _ORGANS,
    "organcmnist": _ORGANS,
    "organsmnist": _ORGANS,
}

PHRASES = {
    "normal, benign": "normal or benign",
    "immature granulocytes(myelocytes, metamyelocytes and promyelocytes)": "immature granulocytes",
    "Collecting Duct, Connecting Tubule": "collecting duct or connecting tubule",
}
"""Names that hold a comma would be two in a list of options."""


def published_names(stem: str) -> tuple[str, ...]:
    """The names behind an archive's numbers, by its file's name: `bloodmnist`, `bloodmnist_224`."""
    return NAMES.get(re.sub(r"_(28|64|128|224)$", "", stem.lower()), ())
