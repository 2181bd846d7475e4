from .bounds import check_unpacked as check_unpacked
from .changes import (
    FileState as FileState,
    RegisteredImage as RegisteredImage,
    changed_images as changed_images,
    file_state as file_state,
)
from .items import (
    DIGITS_SCHEME as DIGITS_SCHEME,
    array_facts as array_facts,
    digit_arrays as digit_arrays,
)
from .kinds import (
    holds_numbers as holds_numbers,
    is_archive as is_archive,
    is_dicom as is_dicom,
    is_image_file as is_image_file,
    what_instead as what_instead,
)
from .opening import (
    faults_named as faults_named,
    image_sha256 as image_sha256,
    open_image as open_image,
    picture_at as picture_at,
)
from .pictures import (
    MAX_PIXELS as MAX_PIXELS,
    MODALITY_TABLE as MODALITY_TABLE,
    PIXEL_SHAPE as PIXEL_SHAPE,
    DeepPicture as DeepPicture,
    Picture as Picture,
    Scale as Scale,
    SeveralFramesError as SeveralFramesError,
    between as between,
)
from .uris import (
    BACKGROUND as BACKGROUND,
    Preparation as Preparation,
    parted as parted,
    with_preparation as with_preparation,
)
