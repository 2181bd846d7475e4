"""lowres: the image has few pixels."""

from PIL import Image

from extract.faults.effects import ImageFault
from extract.faults.fault import Fault, Severity


class Lowres(ImageFault):
    """The image is shrunk until `severity` pixels of its shorter side are left, and blown up."""

    name = "lowres"
    severity = Severity("pixels left of the image's shorter side", 8, low=1, high=1e6, whole=True)
    trial_severities = (8.0, 4.0, 2.0)

    def change_image(self, image: Image.Image, fault: Fault) -> Image.Image:
        if min(image.size) <= fault.severity:
            return image
        scale = fault.severity / min(image.size)
        small = (max(round(image.width * scale), 1), max(round(image.height * scale), 1))
        shrunk = image.resize(small, Image.Resampling.BOX)
        return shrunk.resize(image.size, Image.Resampling.BILINEAR)
