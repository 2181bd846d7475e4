"""The words that code, SQL and docs share: modules, stages, readouts, answers, splits, thresholds.

Imports nothing, so that the command line can offer every word as a choice at once. SQL reads the
same facts from the views `stage` and `readout`, which a test holds equal to this page.
"""

from dataclasses import dataclass
from typing import NamedTuple

VISION, CONNECTOR, LLM = MODULES = ("vision", "connector", "llm")
"""The parts of a model that layers belong to, from pixel to answer."""

BEFORE_LLM = (VISION, CONNECTOR)
"""The modules that an image goes through alone, before it meets the question."""

BLIND = "last_token_blind_at"
"""The note of a run's first commit on layers of the llm at which the last token has seen nothing of
the image yet, as the self-check found by showing two images."""

ANSWER = "answer"
STAGES = (*MODULES, ANSWER)
"""Where the class can get lost: the modules, then the model's own reply."""

FAILURE_MODES = {
    VISION: "vision_quality",
    CONNECTOR: "connector_fidelity",
    LLM: "llm_comprehension",
    ANSWER: "semantic_mapping",
}
"""What a loss in each stage is called, in the order of the stages."""

STAGE_OF = {mode: stage for stage, mode in FAILURE_MODES.items()}
"""The stage that each failure mode speaks of."""

CLAIMS = NO_LONGER_READABLE, NOT_SAID, CAUSED, MENDED, CAUSED_AND_MENDED = (
    "no longer readable",
    "readable but not said",
    "caused in",
    "mended by",
    "caused in and mended by",
)
"""What may be said of a loss: by probes alone (of the answer the second), where patching confirms
it, where a repair of its stage undoes it, and both."""

HEALTHY, UNDETERMINED = "healthy", "undetermined"
VERDICTS = (*STAGE_OF, HEALTHY, UNDETERMINED)
"""What a diagnosis can end with."""

LAYERED = (VISION, LLM)
"""The modules whose layers are many, so that a place in them has a number."""

BLOCK = "block"
"""The kind of a layer that is a block of its module, and no norm or projection."""

SPLITS = ("train", "val", "test")

VECTOR_TABLES = ("activation", "token_activation")
"""Tables of vectors, of which there is far more than of all else: their rows stay in their shards,
and views of the same names show them."""

BY_SPLIT, BY_FOLDS = EVALUATIONS = ("split", "folds")
"""What verdicts on a dataset rest on: its test split, or every sample, predicted out of fold."""

ACCURACY, BALANCED_ACCURACY = SCORES = ("accuracy", "balanced_accuracy")
"""What is measured on a dataset: the share of samples named right, or the mean over classes of the
share of each."""

N_REPETITIONS = 4
"""How often samples are dealt to folds: averaged over four, a loss deviates by a quarter less."""

LIKELIHOOD, GENERATE = METHODS = ("likelihood", "generate")
"""How a model answers: its classes' phrases scored, or a reply generated and read."""

DEFAULT_PROMPT = "default"
"""The prompt that a question is put with unless another is named."""

NO_OPTIONS, LISTED, LETTERED, NUMBERED = OPTION_STYLES = ("none", "list", "letters", "numbers")
"""How a prompt lists the classes: not at all, by their phrases, under letters, under numbers."""

GIVEN, REVERSED = OPTION_ORDERS = ("given", "reversed")
"""The order in which a prompt lists the classes: as the dataset has them, or the last one first."""

ROTATED = "rotated"
"""Begins the order of an answer, as in `rotated:2`, whose prompt's first options came last."""

OWN_IMAGE = "own"
"""With a question goes the sample's own image, but for a control."""

BLANK, OTHER, SAME_CLASS = IMAGE_CONTROLS = ("blank", "other", "same_class")
"""Which image goes with it as a control: a grey one, that of a sample of another class, or another
one of the same class."""

ASKED_CONTROLS = tuple(name.replace("_", "-") for name in IMAGE_CONTROLS)
"""The controls as a command takes them."""

IMAGE_PATCH, LAST_PATCH, BOTH_PATCH = PATCHED_TOKENS = ("image", "last", "both")
"""Whose states a patch replaces at a locus: those of all image tokens, of the last token of the
prompt, or of both."""

ALIKE_PATCH, ELSEWHERE_PATCH, NOISE_PATCH = PATCH_CONTROLS = ("same_class", "other_locus", "noise")
"""What is put there as a control of a patch between images: the states of another image of the same
class, those of the donor at another locus, or noise of the same norm."""

NO_PATCH_CONTROL = "none"
"""The donor's own states, at their own locus."""

CLASS_MEANS, PROBE_WEIGHTS = STEER_DIRECTIONS = ("means", "probe")
"""Where the direction of a class comes from that states are moved along: the differences of class
means, or the weights of the stored linear probe; any other word is a file."""

GIVEN_ONLY, ROTATE = SWEPT_ORDERS = ("given", "rotate")
"""Which orders of the classes a sweep asks with: the prompt's own, or every rotation of it too."""

IMPORTED = "imported:"
"""How the method of answers from elsewhere begins; their source's name follows."""

JUDGED = "judged:"
"""How the method of a judge's reading begins, the judge's name follows; behind the method of the
replies and a plus sign where these are from elsewhere."""

SAMPLED = "sampled:"
"""How the method of answers by several drawn replies begins; their number and, behind an x, the
temperature follow, as in `sampled:8x0.7`."""

STOP, LENGTH = FINISHES = ("stop", "length")
"""Why a reply ended: the model stopped, or it was cut (truncated) when its tokens were spent."""

DIRECT_TOKENS, REASONING_TOKENS = 64, 4096
"""New tokens a reply may have where the registry has no number: enough for a sentence, and for a
model whose prompt opens its reasoning."""

SEEN_IN_TRAINING = "the model saw it, or another of its group, in training"
"""Why a sample was left out, in `rejected_sample`; of all others the image cannot be used."""

SAYS_SEEN = "seen"
"""What the commit of an extraction covers that tells which samples the model saw in training: how
many. Runs of earlier versions do not tell."""

BRINGS_ANSWERS = ("extract", "answers-import", "import")
"""The commands that say so."""

LONGER_BUDGET = 8
"""How many times the tokens that cut replies an advice allows them."""

DTYPES = ("float32", "bfloat16", "float16")
QUANTIZATIONS = ("8bit", "4bit")
"""The numbers a model's weights may be: of one type, or quantised as a variant of the model."""

NO_CONTROL, SHUFFLED_LABELS = PROBE_CONTROLS = ("none", "shuffled_labels")
"""What a probe is trained on: the labels, or the same ones shuffled as its control."""

ATTRIBUTE_TARGET, CONTROL_TASK = "attribute:", "control_task:"
"""How the target of a probe begins that is trained on other labels than the classes; the name of
the attribute follows: its values, or a random class for each of them."""

IMAGE_TOKENS, CLASS_TOKEN, FINAL_TOKEN, REPLY_TOKEN = "image", "class", "final", "reply"
"""Whose states a readout holds."""


@dataclass(frozen=True)
class ReadoutFacts:
    """What is known of a readout without a model.

    `reads` says whose states it holds: those of the `image` tokens, the `final` input token, a
    token of the model's own `reply`, or the tower's `class` token, which usually does not go
    through the connector and so proves nothing of what comes later. `slots` vectors of the locus'
    width lie behind one another; 0: those of all its tokens are kept apart. `everywhere` tells
    whether it is taken at every locus that has it, or at the end of each module only.
    """

    name: str
    reads: str
    slots: int = 1
    everywhere: bool = True

    @property
    def is_evidence(self) -> bool:
        """Whether what it shows of a locus is there for the answer: it may stand for a stage."""
        return self.reads != CLASS_TOKEN

    @property
    def follows_a_reply(self) -> bool:
        """Whether it is taken of the language model behind a reply, and only where it is named."""
        return self.reads == REPLY_TOKEN

    @property
    def is_per_token(self) -> bool:
        """Whether every token's vector is kept, in a table of their own, and only where named."""
        return self.slots == 0

    @property
    def is_usual(self) -> bool:
        """Whether it is taken where no readout is named."""
        return not (self.follows_a_reply or self.is_per_token)


READOUTS = {
    facts.name: facts
    for facts in (
        ReadoutFacts("mean", IMAGE_TOKENS),
        ReadoutFacts("cls", CLASS_TOKEN),
        ReadoutFacts("last", FINAL_TOKEN),
        ReadoutFacts("grid", IMAGE_TOKENS, slots=4, everywhere=False),
        ReadoutFacts("reply", REPLY_TOKEN, everywhere=False),
        ReadoutFacts("tokens", IMAGE_TOKENS, slots=0, everywhere=False),
    )
}


@dataclass(frozen=True)
class ProbeFacts:
    """What is known of a kind of probe without fitting one.

    `options` are those of the command line that it alone takes; `has_coefficients` tells whether
    it can be stored as weights of raw vectors.
    """

    name: str
    options: tuple[str, ...] = ()
    has_coefficients: bool = False


PROBE_KINDS = {
    facts.name: facts
    for facts in (
        ProbeFacts("linear", has_coefficients=True),
        ProbeFacts("mlp", options=("hidden",)),
        ProbeFacts("attentive"),
    )
}
"""In the order of preference: where one kind must speak for a locus, it is the first that was
fitted there; kinds that other packages bring come after these, by name. The first is the default.
"""

DEFAULT_PROBE_KIND = next(iter(PROBE_KINDS))


EVIDENCE = ("extract", "import", "answers-import", "probe", "baseline")
"""The commands whose rows are evidence; a command that `MADE_FROM` does not name rests on all."""

MADE_FROM = {
    "extract": (),
    "import": (),
    "self-test": (),
    "datasets-audit": (),
    "answers-import": (),
    "answers-reparse": ("extract", "answers-import"),
    "answers-judge": ("extract", "answers-import"),
    "baseline": (),
    "probe": ("extract", "import"),
    "probe-coefficients": (*("extract", "import"), "probe"),
    "probe-code-length": ("extract", "import"),
    "probe-geometry": ("extract", "import"),
    "probe-folds": ("extract", "import"),
    "probe-border": ("extract", "import"),
    "probe-target": ("extract", "import"),
    "probe-control-task": ("extract", "import"),
    "patch": ("extract",),
    "steer": ("extract", "probe", "probe-coefficients"),
    "diagnose": EVIDENCE,
    "diagnose-choice": ("extract", "answers-import"),
    "compare": EVIDENCE,
    "mend": ("extract",),
}
"""By command, those whose rows of the same model and dataset its own are made from: without them
they would stand for nothing, or for what was extracted anew since."""

WHATEVER_SPLIT = {
    *("extract", "import", "datasets-audit", "diagnose-choice"),
    *("answers-import", "answers-reparse", "answers-judge"),
}
"""The commands whose rows are the same whichever samples are scored."""


BY_SAMPLE = (
    *("datasets-add", "extract", "import", "patch", "steer"),
    *("answers-import", "answers-reparse", "answers-judge"),
)
"""The commands each of whose rows is of one sample, so that without that sample the others stand. A
command that is not named counted or fitted over all of them."""

GONE = ""
"""In the order of a dataset's samples, the place of one that was removed."""

ASKED_WITH = {
    "answers-reparse": ("answers reparse", ""),
    "answers-judge": ("answers reparse", ""),
    "diagnose-choice": ("diagnose", ""),
    "self-test": ("diagnose", " --self-test"),
    "probe-coefficients": ("probe", " --coefficients"),
    "probe-code-length": ("probe", " --code-length"),
    "probe-geometry": ("probe", " --geometry"),
    "probe-folds": ("probe", " --folds"),
    "probe-border": ("probe", " --border"),
    "probe-target": ("probe", " --target"),
    "probe-control-task": ("probe", " --control-task"),
}
"""The command and the option that begin runs of another name."""


class Cell(NamedTuple):
    """One series of vectors: what one readout takes at one locus."""

    module: str
    layer: int
    readout: str

    def __str__(self) -> str:
        return f"{self.module} layer {self.layer}, readout {self.readout}"


MARGIN = 0.02
"""A loss is present when the lower bound of its interval lies above this much of accuracy."""

HEALTHY_UPPER = 0.10
"""A model is healthy only where the upper bound of its whole loss is at most this."""

MIN_GROUPS = 20
"""Test groups that a verdict needs; an interval of fewer says too little."""

MOST_TRUNCATED = 0.02
"""A verdict rests on at most this share of cut replies: as much as the margin, so that they alone
cannot make a loss."""

N_RESAMPLES = 2000
"""How often test groups are resampled for an interval, unless asked otherwise."""

COSTLY = 0.10
"""A fault tells about verdicts where it takes at least this much of the answers' accuracy."""

RANKING_GAIN = 0.01
"""AUROC that a repair must bring for the accuracy it gains to be more than calibration."""

UNDONE = 0.8
"""A repair undoes the loss of its stage where it brings back at least this share of it."""

SHORTCUT = 0.05
"""A fact alone reads the class where its lower bound lies more than this above chance."""

CHEAP = 0.05
"""A fault of a pair that takes less than this much takes next to nothing."""
