"""Bytes per vector of a trained model of width 4,096, over its raw fp16 bytes.

    python -m bench.bench_storage [--steps N] [--width N]

How well vectors compress depends on what training makes of them, and no weights can be had
everywhere: so this trains one. A tiny CLIP tower, a connector, and one Llama block of the full
width learn to name the digits; then the states of all 1,797 images after that block are taken in
fp16, written as a shard by the lake's own writer, and compared with their raw bytes. Ten minutes
on two cores.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
import transformers

from extract.datasets import add
from extract.models import build_prompt
from extract.training import (
    Answers,
    Images,
    Recipe,
    build_model,
    build_processor,
    evaluate,
    fit,
    read_images,
)
from warehouse.catalogue import connect, dataset
from warehouse.images import open_image
from warehouse.lake import Lake, Piece, write_parquet

BATCH = 16


def wide_model(tokenizer: Any, recipe: Recipe, width: int) -> Any:
    """The tiny model with a decoder of one block of `width`, 128 numbers per head."""
    config = build_model(tokenizer, recipe).config
    text = config.text_config
    text.hidden_size, text.intermediate_size, text.num_hidden_layers = width, width // 2, 1
    text.num_attention_heads, text.num_key_value_heads, text.head_dim = width // 128, 2, 128
    text.layer_types = None
    return transformers.LlavaForConditionalGeneration(config)


@torch.inference_mode()
def states(model: Any, answers: Answers, data: Images) -> dict[str, np.ndarray]:
    """fp16 (n, width) after the decoder's block: of the last token, and of one image token."""
    taken: list[torch.Tensor] = []
    block = model.model.language_model.layers[-1]
    handle = block.register_forward_hook(lambda *called: taken.append(first_of(called[-1]).half()))
    ids = answers.ids[:1, : answers.prompt_length]
    for pixels in data.pixels.split(64):
        model.model(input_ids=ids.expand(len(pixels), -1), pixel_values=pixels)
    handle.remove()
    hidden = torch.cat(taken).numpy()
    image = int((ids[0] == model.config.image_token_id).nonzero()[0])
    return {"last token": hidden[:, -1].copy(), "image token": hidden[:, image].copy()}


def first_of(output: Any) -> torch.Tensor:
    """A block's hidden states, which some releases wrap into a tuple."""
    return output[0] if isinstance(output, tuple) else output


def stored_bytes(vectors: np.ndarray, folder: Path) -> int:
    """What the vector column of a shard takes."""
    n, width = vectors.shape
    ends = pa.array(np.arange(0, (n + 1) * width, width, dtype=np.int32))
    values = pa.array(vectors.astype(np.float32).reshape(-1))
    rows = pa.table(
        {
            "layer": pa.repeat(pa.scalar(0, pa.int32()), n),
            "readout": pa.repeat("last", n),
            "sample_id": [f"{index:06}" for index in range(n)],
            "vector": pa.ListArray.from_arrays(ends, values),
        }
    )
    path = folder / "vectors.parquet"
    write_parquet(path, Piece("activation", "", rows))
    about = pq.read_metadata(path)
    groups = [about.row_group(index) for index in range(about.num_row_groups)]
    columns = [group.column(i) for group in groups for i in range(group.num_columns)]
    return sum(c.total_compressed_size for c in columns if c.path_in_schema.startswith("vector"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--width", type=int, default=4096)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        lake = Lake.at(folder / "lake")
        add(lake, "digits", "digits")
        with connect(lake) as wh:
            info = dataset(wh, "digits")
        phrases = [row.phrase for row in info.classes]
        question = build_prompt(phrases)
        recipe = Recipe(
            epochs=1, image_size=32, augment="none", layers=2, batch_size=BATCH, learning_rate=3e-4
        )
        processor = build_processor(question, phrases, recipe)
        answers = Answers(processor, question, phrases, open_image(info.samples["uri"][0]))
        train, val = (read_images(info, split, processor) for split in ("train", "val"))
        torch.manual_seed(0)
        model = wide_model(processor.tokenizer, recipe, asked.width)
        chosen = torch.randint(0, len(train), (asked.steps * BATCH,))
        fit(model, answers, Images(train.pixels[chosen], train.classes[chosen]), val, recipe)
        accuracy = evaluate(model, answers, val)[1]
        print(f"width {asked.width}, {asked.steps} steps: {accuracy:.3f} of val answered rightly")
        pixels = torch.cat([train.pixels, val.pixels])
        everything = Images(pixels, torch.cat([train.classes, val.classes]))
        for name, vectors in states(model, answers, everything).items():
            share = stored_bytes(vectors, folder) / vectors.nbytes
            print(f"  {name}: {len(vectors):,} vectors, {share:.3f} of their raw fp16 bytes")


if __name__ == "__main__":
    main()
