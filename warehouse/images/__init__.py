"""One way from what lies at a sample's `uri` to an upright 8-bit RGB image, whatever holds it.

Whoever opens an image opens it here: registration, extraction on any worker, baselines, reports,
notebooks. The uri says all that has to be known for it:

    /data/cells/a.png                     any file Pillow decodes
    /data/ct/slice-004.dcm                DICOM, shown through its own VOI window
    /data/pneumoniamnist.npz#train_images/12    item 12 of an array in a NumPy archive
    /data/set/data-00000.arrow#image/12   row 12 of an image column of a Hugging Face dataset
    sklearn-digits:17                     digit 17 of the handwritten digits scikit-learn ships
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
