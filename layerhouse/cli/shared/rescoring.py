from __future__ import annotations

from layerhouse.functions import connect
from warehouse.lake import Lake


def due_after_score(lake: Lake, name: str, score: str) -> list[str]:
    """What to run since the dataset `name` rests on another score; what is fitted for it may be
    there already."""
    of, other = [name], [name, score]
    with connect(lake) as wh:
        query = "SELECT model_id FROM probe_fit WHERE dataset_id = $1 AND fitted_score <> $2"
        probed = [row[0] for row in wh.sql(f"{query} ORDER BY model_id", other).fetchall()]
        query = "FROM scored_baseline WHERE dataset_id = $1 AND score <> $2 LIMIT 1"
        baselines = wh.sql(query, other).fetchall()
        examined = wh.sql("FROM examination WHERE dataset_id = $1 LIMIT 1", of).fetchall()
    steps = [f"`layerhouse probe` again for {', '.join(probed)}"] if probed else []
    steps += ["`layerhouse baseline` again"] if baselines else []
    return steps + (["`layerhouse diagnose` for its models"] if examined else [])
