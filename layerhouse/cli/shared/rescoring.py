from __future__ import annotations

from shlex import join

from layerhouse.functions import connect
from warehouse.lake import Lake


def due_after_score(lake: Lake, name: str, score: str) -> list[str]:
    """The commands to run since the dataset `name` rests on another score; what is fitted for it
    may be there already."""
    of, other = [name], [name, score]
    with connect(lake) as wh:
        query = "SELECT model_id FROM probe_fit WHERE dataset_id = $1 AND fitted_score <> $2"
        probed = wh.sql(f"{query} ORDER BY model_id", other).fetchall()
        query = "SELECT DISTINCT architecture FROM scored_baseline WHERE dataset_id = $1"
        trained = wh.sql(f"{query} AND score <> $2 ORDER BY architecture", other).fetchall()
        query = "SELECT model_id FROM examination WHERE dataset_id = $1 ORDER BY model_id"
        examined = wh.sql(query, of).fetchall()
    steps = [("probe", "--model", model) for (model,) in probed]
    steps += [("baseline", "--architecture", architecture) for (architecture,) in trained]
    steps += [("diagnose", "--model", model) for (model,) in examined]
    return [join(["layerhouse", *words, "--dataset", name]) for words in steps]
