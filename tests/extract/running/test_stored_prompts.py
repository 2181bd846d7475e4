"""The prompt that went to the model stands in its run, and another prompt is another run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from extract.models import fingerprints
from extract.models.sources import locate
from extract.running.dry_run import outlook
from extract.running.extraction import ExtractRequest, extract
from extract.sharing import job as jobs
from layerhouse.cli import layerhouse
from tests.extract.model_folders import edit_weights, weight_name
from tests.tables import tables
from warehouse.errors import LayerhouseError
from warehouse.lake.lake import Lake

ASKED = "What does this image show? Answer with one of: benign, malignant."
PROMPT = f"USER: <image>\n{ASKED} ASSISTANT:"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(locate("tiny-digits").folder, tmp_path / "model"))


def _request(folder: Path, limit: int = 4) -> ExtractRequest:
    return ExtractRequest(
        str(folder), "pictures", modules=["connector"], answers=["likelihood"], limit=limit
    )


def _identities(lake: Lake) -> list[dict[str, Any]]:
    with tables(lake) as wh:
        rows = wh.sql("SELECT config FROM run WHERE command = 'extract' ORDER BY started_at")
        return [json.loads(config)["identity"] for (config,) in rows.fetchall()]


def _dated(folder: Path) -> None:
    path = folder / "chat_template.jinja"
    path.write_text("{{ strftime_now('%Y') }} " + path.read_text())


def test_text_and_token_ids_of_the_prompt_stand_in_the_run(lake: Lake, folder: Path) -> None:
    extract(lake, _request(folder))
    (identity,) = _identities(lake)
    assert identity["prompt"]["text"] == PROMPT
    ids = identity["prompt"]["token_ids"]
    config = json.loads((folder / "config.json").read_text())
    assert ids.count(config["image_token_index"]) == 1
    planned = outlook(lake, _request(folder, 6))
    assert planned.prompt.text == PROMPT
    assert list(planned.prompt.token_ids) == ids


def test_another_prompt_is_refused_under_the_same_name(lake: Lake, folder: Path) -> None:
    extract(lake, _request(folder))
    path = folder / "chat_template.jinja"
    path.write_text(path.read_text().replace("USER", "Human"))
    with pytest.raises(LayerhouseError, match=r"prompt\.text: .*USER.* → .*Human") as raised:
        extract(lake, _request(folder))
    assert len(str(raised.value)) < 2000


@pytest.mark.slow
def test_a_dated_template_is_one_prompt_and_is_told(lake: Lake, folder: Path) -> None:
    _dated(folder)
    summary = extract(lake, _request(folder))
    assert any("the chat template writes the date" in note for note in summary.notes)
    (identity,) = _identities(lake)
    assert identity["prompt"]["text"] == f"2025 {PROMPT}"


def _as_before(identity: dict[str, Any], *_: Any, **__: Any) -> tuple[dict[str, Any], list[str]]:
    """What versions did that stored no prompt."""
    return {k: v for k, v in identity.items() if k != "prompt"}, []


@pytest.mark.slow
def test_a_run_from_before_prompts_were_stored_goes_on_as_itself(
    lake: Lake, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as then:
        then.setattr(jobs, "as_held", _as_before)
        old = extract(lake, _request(folder))
    again = extract(lake, _request(folder))
    assert (again.run_id, again.added) == (old.run_id, False)
    extract(lake, _request(folder, 8))
    identities = _identities(lake)
    assert identities
    assert all("prompt" not in identity for identity in identities)


@pytest.mark.slow
def test_a_dated_run_from_before_is_not_gone_on_with(
    lake: Lake, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _dated(folder)
    with monkeypatch.context() as then:
        then.setattr(jobs, "as_held", _as_before)
        extract(lake, _request(folder))
    with pytest.raises(LayerhouseError, match=r"prompt\.text: not set → .*2025"):
        extract(lake, _request(folder, 8))


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file of weights is a large one."""
    monkeypatch.setattr(fingerprints, "LARGE_FILE", 1000)


def _by_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """What versions did that read windows of large files."""
    before = fingerprints.fingerprint_by_windows
    monkeypatch.setattr("extract.models.sources.fingerprint_weights", before)


@pytest.mark.slow
@pytest.mark.usefixtures("large")
def test_a_run_of_a_version_that_read_windows_goes_on_as_itself(
    lake: Lake, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as then:
        _by_windows(then)
        old = extract(lake, _request(folder))
    again = extract(lake, _request(folder))
    assert (again.run_id, again.added) == (old.run_id, False)
    assert any("by windows of their large files" in note for note in again.notes)
    extract(lake, _request(folder, 8))
    edit_weights(folder, lambda w: w[weight_name(w, "lm_head.weight")].add_(1e-3))
    with pytest.raises(LayerhouseError, match=r"model\.weights: \"[0-9a-f]{16}\" → \"whole:"):
        extract(lake, _request(folder, 8))


@pytest.mark.usefixtures("large")
def test_a_new_run_is_known_by_every_byte(
    lake: Lake, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also by one that lies between all windows."""
    monkeypatch.setattr(fingerprints, "WINDOW", 16)
    extract(lake, _request(folder))
    (identity,) = _identities(lake)
    assert identity["model"]["weights"].startswith("whole:")
    assert extract(lake, _request(folder)).notes == ()
    path = folder / "model.safetensors"
    windows = fingerprints.fingerprint_by_windows(folder)
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)
    assert fingerprints.fingerprint_by_windows(folder) == windows
    with pytest.raises(LayerhouseError, match=r"model\.weights: "):
        extract(lake, _request(folder))


def _command(lake: Lake, *arguments: str) -> str:
    done = CliRunner().invoke(layerhouse, [*arguments, "--lake", str(lake.root)])
    assert done.exit_code == 0, done.output
    return done.output


def test_commands_show_the_prompt(lake: Lake, folder: Path) -> None:
    (folder / "chat_template.jinja").unlink()
    told = _command(lake, "models", "show", str(folder), "--dataset", "pictures")
    request = ("extract", "--model", str(folder), "--dataset", "pictures", "--limit", "2")
    for said in (told, _command(lake, *request, "--dry-run")):
        assert "asked as the documentation of llava does" in said
        assert "Prompt (template: the documentation of llava):\n  | USER: <image>\n  | What" in said
        assert "Token ids (" in said
    assert "variant" in told
    named = _command(lake, "models", "show", "tiny-digits")
    assert "Tiny LLaVA" in named


def test_showing_a_prompt_needs_no_weights(lake: Lake, folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    said = _command(lake, "models", "show", str(folder), "--dataset", "pictures")
    assert "| USER: <image>" in said


def test_a_token_without_an_embedding_is_named(lake: Lake, folder: Path) -> None:
    def shrink(weights: dict[str, Any]) -> None:
        for name in ("embed_tokens.weight", "lm_head.weight"):
            full = next(key for key in weights if key.endswith(name))
            weights[full] = weights[full][:300].clone()

    edit_weights(folder, shrink)
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["vocab_size"] = 300
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(LayerhouseError, match=r"'<image>' has the id 332, but .* has 300 rows"):
        extract(lake, _request(folder))
