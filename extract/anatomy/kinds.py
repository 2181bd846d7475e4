"""What a layer can be: a block of its module, the norm behind the tower's, what leads into the
language model, its last norm."""

from warehouse.vocabulary import BLOCK

POST_NORM, PROJECTOR, FINAL_NORM = "post_norm", "projector", "final_norm"
LAYER_KINDS = (BLOCK, POST_NORM, PROJECTOR, FINAL_NORM)
