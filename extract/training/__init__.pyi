from .answers import Answers as Answers
from .building import build_model as build_model, build_processor as build_processor
from .fitting import evaluate as evaluate, fit as fit, warm_cosine as warm_cosine
from .images import Images as Images, read_images as read_images
from .recipe import Recipe as Recipe
