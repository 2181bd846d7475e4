"""Extraction over the bare forward of a model of real size with random weights.

    python -m bench.bench_real [--model qwen2-vl-2b] [--device cpu] [--dtype auto] [--side 224]
        [--images 64] [--batch-size 8] [--rounds 3] [--tiny]
    python -m bench.bench_real --model qwen2-vl-2b --write FOLDER

Builds Qwen2-VL or Qwen2.5-VL at the sizes of a release (`extract/models/architectures.toml`) on the
device, with a tokenizer and a processor made here, so that no weights are needed; synthetic
pictures. `--tiny` is the same at toy size, to try the command. "Idle" is the share of the time in
which no forward pass was running, by a GPU's own clock. `--write` saves configuration and
processor without weights, a folder that `extract --random-weights` takes.
"""

import argparse
import resource
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
import transformers as hf

from bench.bench_extract import PHRASES, Bench, asking, rates
from extract.models import (
    GivenModel,
    architecture_sizes,
    build_prompt,
    choose_device,
    choose_dtype,
    load,
    open_session,
    phrase_tokens,
)
from extract.models.prompt_entries import Wording
from extract.reading import select
from extract.running import Preparer, check, leaving_a_core
from tests.extract.tiny_families import FAMILIES, QWEN_NAMES, picture
from warehouse.images import open_image


def described(asked: argparse.Namespace) -> tuple[Any, Any]:
    """The configuration of the release, and the processor of its tiny twin."""
    numbers = architecture_sizes()[asked.model]
    small, processor = FAMILIES[numbers["family"]]()
    if asked.tiny:
        return small.config, processor
    marks = {
        f"{name}_id": processor.tokenizer.convert_tokens_to_ids(text)
        for name, text in QWEN_NAMES.items()
    }
    config = hf.AutoConfig.for_model(
        numbers["family"],
        text_config=numbers["text"],
        vision_config=numbers["vision"],
        tie_word_embeddings=numbers["tie_word_embeddings"],
        **marks,
    )
    longest = asked.side * asked.side
    processor.image_processor.size = {"shortest_edge": 56 * 56, "longest_edge": longest}
    return config, processor


def build(asked: argparse.Namespace) -> GivenModel:
    """The model with random weights, drawn on the device."""
    device = choose_device(asked.device)
    config, processor = described(asked)
    kind = getattr(torch, choose_dtype(asked.dtype, device))
    torch.manual_seed(0)
    with torch.device(device):
        model = hf.AutoModelForImageTextToText.from_config(config, dtype=kind)
    return GivenModel(asked.model, model.eval(), processor)


def options(description: str, model: str = "qwen2.5-vl-7b") -> argparse.ArgumentParser:
    """What says which model of real size is meant."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--model", choices=("qwen2.5-vl-7b", "qwen2-vl-2b"), default=model)
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--side", type=int, default=448, help="of the pictures, in pixels")
    parser.add_argument("--tiny", action="store_true")
    return parser


def main() -> None:
    parser = options(__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", type=Path, metavar="FOLDER")
    asked = parser.parse_args()
    if asked.write:
        for part in described(asked):
            part.save_pretrained(asked.write)
        return
    loaded = load(build(asked))
    print(f"{asked.model}: {loaded.n_parameters / 1e9:.2f} billion weights, {loaded.dtype}")
    question = build_prompt(PHRASES)
    phrases = phrase_tokens(loaded.processor, Wording(question), PHRASES)
    with tempfile.TemporaryDirectory() as place, leaving_a_core(loaded.device.type):
        folder = Path(place)
        uris = {f"{index:04}": str(folder / f"{index:04}.png") for index in range(asked.images)}
        for index, uri in enumerate(uris.values()):
            picture(asked.side, asked.side, seed=index).save(uri)
        images = [open_image(uri) for uri in list(uris.values())[:2]]
        session = check(open_session(loaded, Wording(question)), images, phrases).session
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
                "readouts, both answers": (
                    lambda: bench.extraction(folder / "lake", ("likelihood", "generate")),
                    asked.images,
                ),
            },
            asked.rounds,
        )
        bare = found["bare forward"]
        for side, rate in found.items():
            share, own = rate.wall / bare.wall, rate.thread / bare.thread
            print(f"{side:24} {rate.wall:8.2f} images/s {share:7.1%} of the bare {own:7.1%} by CPU")
        print(
            f"resident memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GB"
        )
        if torch.cuda.is_available():
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
