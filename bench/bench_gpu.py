"""Extraction over the bare forward of a real-size model with random weights, on a GPU.

    python -m bench.bench_gpu [--images 64] [--batch-size 8] [--device cuda] [--tiny]

Builds Qwen2.5-VL at the sizes of its 7B release in bf16 on the device, with a tokenizer and a
processor made here, so that no weights are needed; synthetic pictures of 448 × 448. `--tiny` is the
same at toy size, to try the command on a CPU. "Idle" is the share of the time in which no forward
pass was running, by the device's own clock.
"""

import argparse
import tempfile
from pathlib import Path
from time import perf_counter

import torch
import transformers as hf

from bench.bench_extract import PHRASES, Bench, asking, rates
from extract.models import (
    GivenModel,
    LoadedModel,
    architecture_sizes,
    build_prompt,
    choose_device,
    choose_dtype,
    load,
    open_session,
    phrase_tokens,
)
from extract.reading import select
from extract.running import Preparer, check
from tests.extract.tiny_families import FAMILIES, QWEN_NAMES, picture
from warehouse.images import open_image


def build(device: str, *, tiny: bool) -> LoadedModel:
    """The model with random weights, and the processor of its tiny twin."""
    small, processor = FAMILIES["qwen2_5_vl"]()
    config = small.config
    if not tiny:
        numbers = architecture_sizes()["qwen2.5-vl-7b"]
        marks = {
            f"{name}_id": processor.tokenizer.convert_tokens_to_ids(text)
            for name, text in QWEN_NAMES.items()
        }
        config = hf.AutoConfig.for_model(
            "qwen2_5_vl", text_config=numbers["text"], vision_config=numbers["vision"], **marks
        )
        processor.image_processor.size = {"shortest_edge": 56 * 56, "longest_edge": 448 * 448}
    kind = getattr(torch, choose_dtype("auto", device))
    torch.manual_seed(0)
    with torch.device(device):
        model = hf.AutoModelForImageTextToText.from_config(config, dtype=kind)
    return load(GivenModel("qwen2.5-vl", model.eval(), processor))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--tiny", action="store_true")
    asked = parser.parse_args()
    loaded = build(choose_device(asked.device), tiny=asked.tiny)
    question = build_prompt(PHRASES)
    phrases = [phrase_tokens(loaded.processor, question, phrase) for phrase in PHRASES]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        uris = {f"{index:04}": str(folder / f"{index:04}.png") for index in range(asked.images)}
        for index, uri in enumerate(uris.values()):
            picture(448, 448, seed=index).save(uri)
        images = [open_image(uri) for uri in list(uris.values())[:2]]
        session = check(open_session(loaded, question), images, phrases).session
        names, size, preparer = list(uris), asked.batch_size, Preparer(session, uris)
        batches = [preparer(names[start : start + size]) for start in range(0, len(names), size)]
        wanted = select(session.anatomy, session.readouts)
        bench = Bench(session, asking(session, question, phrases), batches, wanted, [])
        bench.bare()
        found = rates(
            {
                "bare forward": (lambda: synchronised(bench), asked.images),
                "readouts": (lambda: bench.extraction(folder / "lake", ()), asked.images),
                "readouts, likelihood": (
                    lambda: bench.extraction(folder / "lake", ("likelihood",)),
                    asked.images,
                ),
            },
            asked.rounds,
        )
        bare = found["bare forward"].wall
        for side, rate in found.items():
            print(f"{side:24} {rate.wall:8.1f} images/s {rate.wall / bare:7.1%} of the bare")
        started = perf_counter()
        watch = bench.extraction(folder / "lake", ())
        busy = watch.seconds["forward"] / (perf_counter() - started)
        print(f"idle during readouts: {1 - busy:.1%}")


def synchronised(bench: Bench) -> None:
    """The bare forward passes, waiting for the device, which goes on after the calls return."""
    bench.bare()
    if torch.cuda.is_available():
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
