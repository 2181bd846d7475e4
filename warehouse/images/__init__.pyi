from .opening import (
    DICOM_SUFFIXES as DICOM_SUFFIXES,
    DIGITS_SCHEME as DIGITS_SCHEME,
    MAX_PIXELS as MAX_PIXELS,
    digit_arrays as digit_arrays,
    image_sha256 as image_sha256,
    open_image as open_image,
)
