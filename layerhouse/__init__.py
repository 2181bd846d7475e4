"""Layerhouse: where does a multimodal language model lose the class of an image?

layerhouse.extract("tiny-digits", "digits")
layerhouse.probe("tiny-digits", "digits")
print(layerhouse.diagnose("tiny-digits", "digits").sentence)

wh = layerhouse.connect()
wh.sql("SELECT * FROM failure_mode").pl()
X, samples = wh.activations(
    model="tiny-digits", dataset="digits", module="llm", layer=3, readout="last"
)

These names are the whole public face; docs/python.md shows each at work. Importing it is quick:
heavy packages are imported by the function that needs them.
"""

from layerhouse.shadows import refuse_shadows

refuse_shadows()  # before anything is imported from a package that may be another's

from layerhouse import answers, datasets, models, runs  # noqa: E402
from layerhouse.functions import (  # noqa: E402
    baseline,
    compare,
    connect,
    delta,
    diagnose,
    export,
    extract,
    figures,
    import_,
    mend,
    patch,
    power,
    probe,
    project,
    publish,
    report,
    steer,
    validate,
)
from warehouse.errors import LayerhouseError, UsageError  # noqa: E402
from warehouse.extensions import layerhouse_version  # noqa: E402

__all__ = [
    "LayerhouseError",
    "UsageError",
    "__version__",
    "answers",
    "baseline",
    "compare",
    "connect",
    "datasets",
    "delta",
    "diagnose",
    "export",
    "extract",
    "figures",
    "import_",
    "mend",
    "models",
    "patch",
    "power",
    "probe",
    "project",
    "publish",
    "report",
    "runs",
    "steer",
    "validate",
]

__version__ = layerhouse_version()
