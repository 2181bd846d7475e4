"""The repairs by name, as STAGE/REPAIR and in the order in which they are tried: known before what
they train with is imported."""

from warehouse.vocabulary import ANSWER, CONNECTOR, LLM, VISION

REPAIR_TITLES = (
    f"{ANSWER}/prior",
    f"{ANSWER}/probe",
    f"{ANSWER}/label-rows",
    f"{CONNECTOR}/finetune",
    f"{LLM}/heads",
    f"{LLM}/lora",
    f"{VISION}/lora",
)
