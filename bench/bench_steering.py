"""What steering costs over the passes it needs.

    python -m bench.bench_steering [--shape S]… [--images N]

Both sides run the same preprocessed batches and take turns; a pass is one image through the model
and the likelihoods of its classes. Steering moves the states of the image tokens and of the last
one behind the blocks that `layerhouse steer` takes by default, of the deep shape behind the last of
them, along the direction of each class, its sham and the random ones, which are drawn here.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import torch

from bench.bench_extract import Bench, build, prepare, rates
from extract.patching import Side, Wanted, attached
from extract.patching.splicing import Splice
from extract.running import leaving_a_core
from extract.sharing import ExtractRequest
from extract.steering.directions import N_RANDOM, CellDirections, Directions, Learners
from extract.steering.request import USUAL_STRENGTHS, SteerRequest, parts_of, places_of
from extract.steering.steerer import Steerer


def cost(shape: str, asked: argparse.Namespace, folder: Path) -> None:
    is_deep = shape == "deep"  # of hundreds of passes a place and image
    n_images = asked.images if not is_deep else max(asked.images // 8, 1)
    bench = prepare(build(shape, folder), n_images, asked.batch_size)
    strengths = USUAL_STRENGTHS if not is_deep else USUAL_STRENGTHS[-1:]
    request = SteerRequest(ExtractRequest(shape, "digits"), strengths=strengths)
    wanted = places_of(request, bench.session).wanted[-1 if is_deep else 0 :]
    directions = drawn(bench, wanted)
    side = Side(bench.session, bench.question, Splice(bench.session, [one for one, _ in wanted]))
    places = sum(len(put) for _, put in wanted)
    passes = 1 + places * directions.n
    n = bench.n_images * passes

    def plain() -> None:
        for batch in bench.batches * passes:
            with side.running((batch.inputs, {}), batch.sample_ids) as run:
                run.said()

    def steering() -> None:
        steerer = Steerer(side, directions)
        with attached(side):
            for batch in bench.batches:
                for _ in steerer.effects(batch, wanted):
                    pass
        assert steerer.passes == n

    best = rates({"plain passes": (plain, n), "steering": (steering, n)}, 1 if is_deep else 3)
    bare, own = best["plain passes"], best["steering"]
    print(
        f"{Path(shape).name}: {bench.n_images} images, {places} places, {directions.n} directions, "
        f"{torch.get_num_threads()} threads for the model"
    )
    print(f"  plain passes {bare.wall:9.1f} images/s")
    print(
        f"  steering     {own.wall:9.1f} images/s: {bare.wall / own.wall:.2f} times the passes it "
        f"needs ({bare.thread / own.thread:.2f} by CPU)"
    )


def drawn(bench: Bench, wanted: Wanted) -> Directions:
    """Directions of all classes, their shams and random ones, none of which means anything."""
    seeded = torch.Generator().manual_seed(0)
    classes = tuple(range(len(bench.question.scored)))
    cells = {}
    for locus, put in wanted:
        for part in parts_of(put[0].partition("/")[0]):
            rows = torch.randn(2 * len(classes) + N_RANDOM, locus.width, generator=seeded)
            cells[locus.name, part] = CellDirections(
                {None: rows / rows.norm(dim=1, keepdim=True)}, learned=""
            )
    return Directions(Learners({}, {}), classes, cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", action="append", help="tiny, deep, packed, or a model")
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--batch-size", type=int, default=16)
    asked = parser.parse_args()
    with leaving_a_core("cpu"), tempfile.TemporaryDirectory() as folder:
        for shape in asked.shape or ("tiny", "deep"):
            cost(shape, asked, Path(folder))


if __name__ == "__main__":
    main()
