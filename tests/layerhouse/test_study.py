"""A study is read strictly, comes to commands as they are typed, and goes on after failures."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from safetensors.torch import load_file, save_file

from extract.models.registry import find
from layerhouse import extract
from layerhouse.cli.study import _opened
from layerhouse.study.journal import StepRecord
from layerhouse.study.planning import cells_of, plan
from layerhouse.study.reading import read_study
from layerhouse.study.running import Share
from tests.lakes import synthetic_lake
from warehouse.errors import UsageError

MINIMAL = """
[[model]]
model = "tiny-digits"
[[dataset]]
dataset = "digits"
"""


def written(folder: Path, text: str, name: str = "study.toml") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def cli(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if name != "LAYERHOUSE_LAKE"}
    return subprocess.run(
        [sys.executable, "-m", "layerhouse", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=env,
        check=False,
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("probes = 1\n" + MINIMAL, "has no 'probes'; did you mean probe"),
        (MINIMAL + "[[modl]]\n", "has no 'modl'; did you mean model"),
        ('[[model]]\nname = "x"\n', "an entry lacks its model"),
        ('[[model]]\nmodel = "x"\n', "names no dataset"),
        (MINIMAL + '[[model]]\nmodel = "tiny-digits"\n', "two models of the name 'tiny-digits'"),
        ('model = "x"\n', r"model must be written as \[\[model\]\]"),
        ("prompts = 'all'\n" + MINIMAL, "prompts must be a list of texts"),
        ("title = 3\n" + MINIMAL, "title must be a text, not 3"),
        (MINIMAL + 'path = "${NOT_THERE_AT_ALL}"\n', "which the environment does not have"),
        (MINIMAL + "[[variant]]\nname = 'x'\nmodels = ['tiny-digit']\n", "no model 'tiny-digit'"),
        (MINIMAL + "add = { title = 'x' }\n", "options of add and no path"),
        ("include = ['study.toml']\n" + MINIMAL, "includes itself"),
        ("include = ['none.toml']\n" + MINIMAL, "there is no file"),
        ("[[model]\n", "is no TOML"),
    ],
)
def test_what_is_wrong_with_a_study_is_told_by_file_and_name(
    text: str, said: str, tmp_path: Path
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(UsageError, match=said) as told:
        read_study(path)
    assert str(tmp_path) in str(told.value)


def test_a_study_saved_by_windows_is_read_or_told_what_to_do(tmp_path: Path) -> None:
    """Editors there put a mark before the text and end lines otherwise; a shell writes UTF-16."""
    path = written(tmp_path, MINIMAL)
    plain = read_study(path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert read_study(path) == plain
    path.write_text(MINIMAL, encoding="utf-16")
    with pytest.raises(UsageError, match=r"study.toml is no text in UTF-8; save it so"):
        read_study(path)


def test_included_files_count_as_if_they_stood_here_and_the_nearer_word_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHERE", "/images")
    written(
        tmp_path,
        '[extract]\ndevice = "cuda"\ndtype = "bfloat16"\n[[model]]\nmodel = "a"\n',
        "more/common.toml",
    )
    path = written(
        tmp_path,
        'include = ["more/common.toml"]\n[extract]\ndevice = "cpu"\n[[model]]\nmodel = "b"\n'
        'base = "a"\n[[dataset]]\ndataset = "d"\npath = "${WHERE}/d"\n'
        'add = { title = "${TITLE:-none given}" }\n',
    )
    study = read_study(path)
    assert [each.model for each in study.models] == ["a", "b"]
    assert study.options["extract"] == {"device": "cpu", "dtype": "bfloat16"}
    assert study.datasets[0].path == "/images/d"
    assert study.datasets[0].add == {"title": "none given"}


def test_a_plan_is_all_commands_in_order_with_the_nearest_options(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """
prompts = ["letters", "paper"]
[extract]
readout = ["mean", "last"]
limit = 9
[probe]
geometry = true
border = false
[baseline]
architecture = "texture-svm"
[compare]
[report]
out = "r.html"
[[model]]
model = "general"
[[model]]
model = "./mine"
name = "mine"
base = "general"
extract = { limit = 5 }
[[dataset]]
dataset = "d"
path = "images"
add = { phrase = ["a=b", "c=d"] }
[[variant]]
name = "base"
[[variant]]
name = "tuned"
models = ["mine"]
extract = { adapter = "adapters/{model}/{dataset}", layer = -1 }
""",
    )
    steps = plan(read_study(path))
    told = [" ".join(step.arguments) for step in steps]
    assert told == [
        "datasets add d images --phrase=a=b --phrase=c=d",
        "baseline --dataset d --architecture=texture-svm",
        "extract --model general --dataset d --readout=mean --readout=last --limit=9",
        "extract --model general --dataset d --limit=9 --answers-only --prompt=letters "
        "--prompt=paper",
        "probe --model {model} --dataset d --geometry",
        "diagnose --model {model} --dataset d",
        "extract --model ./mine --dataset d --readout=mean --readout=last --limit=5",
        "extract --model ./mine --dataset d --limit=5 --answers-only --prompt=letters "
        "--prompt=paper",
        "probe --model {model} --dataset d --geometry",
        "diagnose --model {model} --dataset d",
        "extract --model ./mine --dataset d --readout=mean --readout=last --limit=5 "
        "--adapter=adapters/mine/d --layer=-1",
        "extract --model ./mine --dataset d --limit=5 --adapter=adapters/mine/d --answers-only "
        "--prompt=letters --prompt=paper",
        "probe --model {model} --dataset d --geometry",
        "diagnose --model {model} --dataset d",
        "compare --dataset d",
        "compare --model {model} --base {base} --dataset d",
        "report --out=r.html",
    ]
    names = [step.name for step in steps]
    assert len(set(names)) == len(names)
    assert all(need in names[:place] for place, step in enumerate(steps) for need in step.needs)
    for option, said in (("model = 'x'", "--model itself"), ("layer = [[1]]", "must be a text")):
        with pytest.raises(UsageError, match=said):
            plan(read_study(written(tmp_path, f"[extract]\n{option}\n{MINIMAL}")))


@pytest.mark.parametrize("of", [1, 2, 3, 7])
def test_shares_take_every_cell_and_baseline_once_with_what_they_need(
    of: int, tmp_path: Path
) -> None:
    text = MINIMAL.replace('"digits"', '"digits"\npath = "x"') + "[baseline]\n[compare]\n[report]\n"
    text += "[[model]]\nmodel = 'mine'\nbase = 'tiny-digits'\n"
    for number in range(4):
        text += f"[[variant]]\nname = 'v{number}'\n"
    steps = plan(read_study(written(tmp_path, text)))
    taken = [Share(number, of).of_steps(steps) for number in range(1, of + 1)]
    cells = [step.name for share in taken for step in share if step.kind != "add"]
    assert sorted(cells) == sorted(
        step.name for step in steps if step.kind not in ("add", "compare", "report")
    )
    assert all(share[0].kind == "add" for share in taken if share)
    for wrong in ("0/2", "3/2", "1", "a/b", "1/2/3"):
        with pytest.raises(UsageError, match="a share is written as"):
            Share.parse(wrong)


def test_an_option_that_a_command_does_not_take_is_told_before_anything_is_run(
    tmp_path: Path,
) -> None:
    path = written(tmp_path, MINIMAL + "[probe]\nsedes = 1\n")
    told = cli("study", path)
    assert told.returncode == 2
    assert "probe tiny-digits on digits: No such option '--sedes'" in told.stderr
    assert "--seeds" in told.stderr
    assert not (tmp_path / "study.study").exists()
    misspelt = cli("study", written(tmp_path, MINIMAL.replace("tiny-digits", "tiny-digit")))
    assert misspelt.returncode == 2
    assert "unknown model 'tiny-digit'; did you mean tiny-digits" in misspelt.stderr
    struck = cli("study", written(tmp_path, MINIMAL + "[extract]\nfault = 'noize@llm'\n"))
    assert struck.returncode == 2
    assert "extract tiny-digits on digits: " in struck.stderr
    assert "did you mean noise" in struck.stderr


def test_a_variant_is_the_model_that_its_command_makes_however_its_options_are_written(
    tmp_path: Path,
) -> None:
    text = MINIMAL + "[[variant]]\nname = 'as it is'\n"
    for number, options in enumerate(
        ('"random-weights" = 3', "random_weights = true", "fault = ['noise@llm', 'drop@vision']")
    ):
        text += f"[[variant]]\nname = '{number}'\nextract = {{ {options} }}\n"
    ground, _ = _opened(written(tmp_path, text), None)
    found = [ground.model_id(cell) for cell in cells_of(ground.study)]
    assert found == [
        "tiny-digits",
        "tiny-digits+random:3",
        "tiny-digits+random:0",
        "tiny-digits+fault:noise@llm:4+fault:drop@vision:0.5",
    ]


def test_a_model_whose_files_are_elsewhere_is_called_by_its_name(tmp_path: Path) -> None:
    """Of a variant no more is known than that it is one."""
    text = MINIMAL.replace("tiny-digits", "medvlm-r1") + "[[variant]]\nname = 'base'\n"
    text += "[[variant]]\nname = 'bad'\nextract = { fault = 'swap@llm' }\n"
    ground, steps = _opened(written(tmp_path, text), None)
    told = [ground.text(step) for step in steps if step.kind == "probe"]
    assert "layerhouse probe --model medvlm-r1 --dataset digits" in told[0]
    assert "layerhouse probe --model 'medvlm-r1+…' --dataset digits" in told[1]


def test_a_baseline_is_looked_at_by_its_command_each_time(tmp_path: Path) -> None:
    """Another's, or one of other images or another score, is none of this study's."""
    lake = synthetic_lake(tmp_path / "lakehouse", {}, n_samples=40)
    text = MINIMAL.replace('dataset = "digits"', 'dataset = "shapes"')
    path = written(tmp_path, text + "[baseline]\narchitecture = 'resnet'\n")
    ground, steps = _opened(path, None)
    assert ground.lake.root == lake.root
    ground.journal.open()
    (step,) = [step for step in steps if step.kind == "baseline"]
    record = StepRecord(ground.arguments(step), str(ground.lake), 0, "", 1.0)
    ground.journal.write(step.name, record)
    assert not ground.refresh().is_done(step)


@pytest.mark.slow
def test_what_was_extracted_of_other_weights_or_in_part_is_not_done(tmp_path: Path) -> None:
    """Whatever the journal says."""
    folder = tmp_path / "mine"
    shutil.copytree(find("tiny-digits").folder, folder)
    text = MINIMAL.replace('"tiny-digits"', '"./mine"')
    path = written(tmp_path, text + "[extract]\nlimit = 6\nanswer = 'likelihood'\nlayer = -1\n")
    ground, steps = _opened(path, None)
    ground.journal.open()
    (step,) = [step for step in steps if step.kind == "extract"]
    record = StepRecord(ground.arguments(step), str(ground.lake), 0, "", 1.0)
    ground.journal.write(step.name, record)
    assert not ground.refresh().is_done(step)
    extract(folder, "digits", lake=ground.lake, limit=4, answer="likelihood", layer="-1")
    assert not ground.refresh().is_done(step)
    extract(folder, "digits", lake=ground.lake, limit=6, answer="likelihood", layer="-1")
    assert ground.refresh().is_done(step)
    weights = load_file(folder / "model.safetensors")
    name = next(iter(weights))
    save_file(weights | {name: weights[name] + 1}, folder / "model.safetensors", {"format": "pt"})
    assert not _opened(path, None)[0].refresh().is_done(step)


@pytest.mark.slow
def test_a_dry_run_names_cells_that_cannot_be_run_as_written(tmp_path: Path) -> None:
    text = MINIMAL + "[[model]]\nmodel = 'medvlm-r1'\n[[variant]]\nname = 'base'\n"
    text += "[[variant]]\nname = 'odd'\nmodels = ['tiny-digits']\nextract = { layer = 77 }\n"
    told = cli("study", written(tmp_path, text), "--dry-run")
    assert told.returncode == 2, told.stdout + told.stderr
    assert "1 cell cannot be run as written: tiny-digits (odd) on digits" in told.stderr
    assert "no locus matches layer '77'; vision has 0 to 4" in told.stdout
    assert "medvlm-r1 on digits: 1,797 images, " in told.stdout
    assert "time not known (JZPeterPan/MedVLM-R1 at revision" in told.stdout


@pytest.mark.slow
def test_what_fails_stops_only_what_needs_it_and_is_named_with_its_command(tmp_path: Path) -> None:
    """Run from elsewhere: paths in the file are seen from its folder."""
    for name, shade in (("dark", 20), ("bright", 220)):
        for number in range(12):
            place = tmp_path / "study" / "images" / name / f"{number}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (8, 8), shade + number).save(place)
    path = written(
        tmp_path / "study",
        '[[model]]\nmodel = "tiny-digits"\n[[dataset]]\ndataset = "shades"\npath = "images"\n'
        "[[dataset]]\ndataset = 'gone'\npath = 'gone'\n"
        "[[variant]]\nname = 'bad'\nextract = { fault = 'swap@llm.77' }\n[publish]\nout = 'out'\n",
    )
    told = cli("study", path, cwd=tmp_path)
    assert told.returncode == 1, told.stdout + told.stderr
    assert "llm has layers 0 to 3 on the path to the answer, not 77" in told.stdout
    assert "probe tiny-digits (bad) on shades: not run, extract tiny-digits (bad)" in told.stdout
    assert "extract tiny-digits (bad) on gone: not run, add gone has to go well" in told.stdout
    lake = tmp_path / "study" / "lakehouse"
    again = "--model tiny-digits --dataset shades --fault=swap@llm.77 --lake"
    assert f"layerhouse extract {again} {lake}" in told.stdout
    assert "add shades: done" in told.stdout
    assert (tmp_path / "study" / "out").is_dir()
    assert told.stderr.rstrip().endswith("steps failed; give the command again when that is mended")
    Image.new("L", (8, 8), 90).save(tmp_path / "study" / "images" / "dark" / "new.png")
    again = cli("study", path, cwd=tmp_path).stdout
    assert "add shades: failed, dataset shades is registered with other content" in again
    assert "extract tiny-digits (bad) on shades: not run, add shades has to go well" in again


SCHEDULER = """#!{python}
import os, subprocess, sys
given = dict(each.partition("=")[::2] for each in sys.argv[1:] if each.startswith("--"))
if "--wrap" in given:
    assert given["--dependency"] == "afterany:17", given
    sys.exit(subprocess.run(["bash", "-c", given["--wrap"]]).returncode)
low, high = map(int, given["--array"].split("-"))
tasks = [
    subprocess.Popen(
        ["bash", sys.argv[-1]],
        stdout=sys.stderr,
        env=os.environ
        | {{"SLURM_ARRAY_TASK_ID": str(task), "SLURM_ARRAY_TASK_COUNT": str(high - low + 1)}},
    )
    for task in range(low, high + 1)
]
assert [task.wait() for task in tasks] == [0] * len(tasks)
print(17)
"""


def scheduler(folder: Path) -> None:
    """A stand-in for `sbatch` that runs all tasks of an array at once, and what waits behind it."""
    folder.mkdir()
    path = folder / "sbatch"
    path.write_text(SCHEDULER.format(python=sys.executable))
    path.chmod(0o755)


def slurm_commands() -> list[str]:
    """The two commands of docs/studies.md, of two tasks; its file lies where they look for it."""
    text = (Path(__file__).parents[2] / "docs" / "studies.md").read_text()
    script = text.partition("```bash\n")[2].partition("```")[0]
    Path("study.sbatch").write_text(script)
    lines = [line.strip() for line in text.splitlines() if "sbatch --" in line]
    return [line.replace("--array=1-8", "--array=1-2") for line in lines]


@pytest.mark.slow
def test_a_study_is_run_in_shares_shown_and_found_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an array of jobs would: two processes at once, then the whole, then nothing is left."""
    path = written(
        tmp_path,
        "[extract]\nanswer = 'likelihood'\nlimit = 400\n[probe]\nseeds = 1\n[compare]\n"
        "[report]\nimages = 0\n" + MINIMAL + "[[variant]]\nname = 'base'\n[[variant]]\n"
        "name = 'swapped'\nextract = { fault = 'swap@connector:0.5' }\n",
    )
    plain = cli("study", path, "--dry-run")
    assert "tiny-digits (swapped) on digits: 400 images" in plain.stdout
    assert "Extraction in all: 800 images" in plain.stdout
    monkeypatch.chdir(tmp_path)
    first, last = slurm_commands()
    scheduler(tmp_path / "bin")
    path_of = {"PATH": f"{tmp_path / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"}
    run: dict[str, Any] = {"env": os.environ | path_of, "check": True, "shell": True}
    job = subprocess.run(
        f"{first}; echo $first", stdout=subprocess.PIPE, text=True, **run
    ).stdout.strip()
    assert job == "17"
    assert not (tmp_path / "report.html").exists()
    whole = subprocess.run(f"first={job}; {last}", stdout=subprocess.PIPE, text=True, **run).stdout
    assert whole.count(": there already") == 6
    assert (tmp_path / "report.html").is_file()
    shown = cli("study", "status", path).stdout
    assert "connector_fidelity" in shown
    assert "not done" not in shown
