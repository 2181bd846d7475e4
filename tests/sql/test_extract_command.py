"""The command that runs a model over a dataset again, with the options of its variant."""

import shlex

import pytest

from tests.sql.worlds import world
from warehouse import variants


@pytest.mark.exact_rows("extract_command", "model_options")
@pytest.mark.parametrize(
    ("variant", "options"),
    [
        ("base", ""),
        ("adapter:lora+fault:swap@vision:0.5", " --adapter lora --fault swap@vision:0.5"),
        ("mend:llm/lora+fault:damage@llm:1", " --adapter llm/lora --fault damage@llm:1"),
        ("random:3", " --random-weights 3"),
        ("quantization:4bit", " --quantization 4bit"),
        ("quantization:awq+fault:head@answer", " --fault head@answer"),
        ("adapter:my lora+fault:swap@llm", " --adapter 'my lora' --fault swap@llm"),
        ("adapter:my+lora+fault:swap@llm", " --adapter my+lora --fault swap@llm"),
        ("adapter:it's; rm --x", """ --adapter 'it'"'"'s; rm --x'"""),
    ],
)
def test_a_variant_is_asked_for_by_its_options(catalogue, variant, options):
    rows = world({("llm", 1, "last"): (7, 14)})
    rows["model"] = [{"model_id": "m", "name": "tiny", "variant": variant}]
    con = catalogue(rows)
    assert con.sql("SELECT * FROM model_options").fetchall() == [("m", "tiny", options)]
    found = con.sql("SELECT * FROM extract_command").fetchall()
    command = f"layerhouse extract --model tiny{options} --dataset d"
    making = command.removeprefix("layerhouse extract")
    assert found == [("m", "d", command, " --model m --dataset d", making)]
    assert f" {variants.making(variants.with_variant('tiny', variant), 'd')}" == making


@pytest.mark.parametrize("name", ["a b", "it's", "<script>x</script>", "100%25", "模型", "$x"])
def test_names_are_words_of_the_command(catalogue, name):
    """What is pasted into a shell is taken for the names that they are."""
    rows = world({("llm", 1, "last"): (7, 14)})
    rows["model"] = [{"model_id": name, "name": name, "variant": "base"}]
    for table in ("probe", "layer"):
        rows[table] = [row | {"model_id": name} for row in rows[table]]
    con = catalogue(rows)
    ((command, arguments, obstacle),) = con.sql(
        "SELECT command, arguments, obstacle FROM extract_command "
        "INNER JOIN verdict_obstacle USING (model_id, dataset_id)"
    ).fetchall()
    assert shlex.split(command) == ["layerhouse", "extract", "--model", name, "--dataset", "d"]
    assert shlex.split(arguments) == ["--model", name, "--dataset", "d"]
    assert f"layerhouse extract --model {shlex.quote(name)} --dataset d" in obstacle
