from .local import extract_with_workers as extract_with_workers
from .ray import extract_with_ray as extract_with_ray
