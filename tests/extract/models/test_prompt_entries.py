"""Prompts as data: what a file of them may say, and one sentence for everything else."""

import subprocess
import sys
from pathlib import Path

import pytest

from extract.models import find_prompts, shipped_prompts
from extract.models.prompt_entries import PromptEntry, read_prompts, rotations
from warehouse.errors import UsageError

LABELS = ["0", "1", "2"]
PHRASES = ["normal", "benign", "malignant"]


def test_those_that_ship_fit_and_are_five() -> None:
    assert list(shipped_prompts()) == ["default", "paper", "letters", "clinical", "reasons"]
    for entry in shipped_prompts().values():
        assert entry.misfit(LABELS, PHRASES) is None
        assert all(phrase in entry.question(PHRASES) for phrase in PHRASES)


def test_options_are_listed_by_style_order_and_language() -> None:
    def asked(**facts: str) -> str:
        return PromptEntry("p", "{options}", **facts).question(["a", "b"])  # type: ignore[arg-type]

    assert asked() == "a, b"
    assert asked(language="zh-CN") == "a、b"
    assert asked(option_style="letters") == "A. a\nB. b"
    assert asked(option_style="numbers") == "1. a\n2. b"
    turned = PromptEntry("p", "{options}", option_order="reversed")
    assert [turned.order(3, order) for order in rotations(3)] == [[2, 1, 0], [1, 0, 2], [0, 2, 1]]


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "mine.toml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    "content",
    [
        'template = "Which? {options}"',
        b'\xef\xbb\xbftemplate = "Which? {options}"\r\nlanguage = "en"\r\n',
        '[mine]\ntemplate = """\r\nWhich?\r\n{options}"""\r\n',
        'template = "JSON please: {\\"answer\\": ...}. {options}"',
        'template = "这是什么?{options}"\nlanguage = "zh"\n[synonyms]\nbenign = ["良性"]',
        'template = "What is it?"\noption_style = "none"',
    ],
    ids=["plain", "BOM and CRLF", "table and CRLF text", "braces", "Chinese", "no options"],
)
def test_what_people_write_is_read(content: str | bytes, tmp_path: Path) -> None:
    (entry,) = find_prompts([str(written(tmp_path, content))], {})
    assert entry.name == "mine"
    assert "\r" not in entry.template
    assert entry.misfit(LABELS, PHRASES) is None


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("template = Which?", "is no TOML: .*line 1"),
        ('template = "Wélche? {options}"'.encode("latin-1"), "no text in UTF-8"),
        ("template = '{options}'".encode("utf-16"), "no text in UTF-8"),
        ("", "holds no prompt"),
        ('[mine]\nsystem = "x"', "has no template"),
        ('[a]\ntemplate="{options}"\n[a]\ntemplate="{options}"', "is no TOML"),
        ('[a]\ntemplate="{options}"\n[A]\ntemplate="{options}"', "'A' is taken"),
        ('template = "Which?"', "no place for the classes: write {options} once"),
        ('template = "{options} {options}"', "has 2 places"),
        ('template = "{option}"', "unknown place {option}; did you mean {options}"),
        ('template = "{{options}}"', "writes {{options}}, where the place"),
        ('template = "{}"', "writes {}, where the place"),
        ('template = "{options} {image}"', "unknown place {image}"),
        ('template = ["{options}"]', "template that is no text"),
        ('template = " "', "has an empty template; write one"),
        ('template = "{options}"\noption_style = "letter"', "did you mean letters"),
        ('template = "{options}"\noption_style = "none"', "although its option_style is none"),
        ('template = "{options}"\noption_order = "random"', "has the option_order 'random'"),
        ('template = "{options}"\nsytem = "x"', "unknown key 'sytem'; did you mean system"),
        ('template = "{options}"\nsynonyms = ["x"]', "synonyms that are no lists"),
        ('template = "{options}"\n[synonyms]\nbenign = "x"', "synonyms that are no lists"),
        ('template = "{options}"\nmax_new_tokens = "many"', "where a number of tokens is due"),
        ('[all]\ntemplate = "{options}"', "cannot have that name"),
        ('["a/b"]\ntemplate = "{options}"', "cannot have that name"),
        ('[default]\ntemplate = "Other? {options}"', "'default' is taken by a prompt of other"),
        ('[Letters]\ntemplate = "Other? {options}"', "'Letters' is taken by a prompt of other"),
    ],
)
def test_what_is_wrong_with_a_file_is_one_sentence(
    content: str | bytes, sentence: str, tmp_path: Path
) -> None:
    import re

    pattern = sentence if ".*" in sentence else re.escape(sentence)
    with pytest.raises(UsageError, match=pattern) as error:
        find_prompts([str(written(tmp_path, content))], {})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ("leters", "did you mean letters"),
        ("nothing.toml", "is no file of prompts"),
        ("folder/other", "is no file of prompts"),
    ],
)
def test_an_unknown_name_tells_the_nearest(asked: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        find_prompts([asked], {})


def test_a_name_that_the_lake_holds_means_the_same_words() -> None:
    mine = PromptEntry("mine", "Which? {options}")
    assert find_prompts(["MINE", "mine"], {"mine": mine}) == [mine]
    assert find_prompts(["all"], {"mine": mine}) == [mine, *shipped_prompts().values()]
    with pytest.raises(UsageError, match="taken"):
        find_prompts(["letters"], {"letters": PromptEntry("letters", "Other {options}")})
    (told,) = find_prompts(["mine"], {"mine": mine}, system="You are a doctor.")
    assert told.system == "You are a doctor."
    assert told.name != mine.name


@pytest.mark.parametrize(
    ("facts", "labels", "phrases", "sentence"),
    [
        (
            {"option_style": "letters"},
            list(map(str, range(27))),
            [f"c{i}" for i in range(27)],
            "27",
        ),
        ({"option_style": "letters"}, ["x", "y"], ["A", "B"], "'A' is a class"),
        ({"option_style": "numbers"}, ["x", "y"], ["0", "1"], "'1' is a class"),
        ({"synonyms": {"benin": ["x"]}}, LABELS, PHRASES, "did you mean benign"),
        ({"synonyms": {"benign": ["normal"]}}, LABELS, PHRASES, "'normal', which is a class"),
    ],
)
def test_a_dataset_that_cannot_be_asked_about_so_is_said(
    facts: dict[str, object], labels: list[str], phrases: list[str], sentence: str
) -> None:
    entry = PromptEntry("p", "{options}", **facts)  # type: ignore[arg-type]
    assert sentence in str(entry.misfit(labels, phrases))


def test_names_are_known_without_torch() -> None:
    code = (
        "import sys; from extract.models import find_prompts\n"
        "try: find_prompts(['leters'], {})\nexcept Exception as e: print(e)\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "did you mean letters" in done.stdout


def test_several_prompts_of_a_file_come_in_its_order(tmp_path: Path) -> None:
    path = written(tmp_path, '[b]\ntemplate = "{options}?"\n[a]\ntemplate = "{options}!"')
    assert [entry.name for entry in read_prompts(path)] == ["b", "a"]
