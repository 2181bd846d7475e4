"""Before and after fine-tuning are two models of the warehouse, and both can be diagnosed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from extract.models.loading import load
from extract.running.extraction import ExtractRequest, extract
from tests.tables import tables
from warehouse.lake.lake import Lake


def test_a_trained_lora_is_stored_next_to_its_base(
    lake: Lake, llava_folder: Path, tmp_path: Path
) -> None:
    peft = pytest.importorskip("peft", reason="adapters need the peft extra")
    torch.manual_seed(0)
    config = peft.LoraConfig(r=2, target_modules=["q_proj", "v_proj", "fc1"])
    model = peft.get_peft_model(load(str(llava_folder)).model, config)
    tokens = torch.arange(5, 15)[None]
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-1)
    for _ in range(5):
        model(input_ids=tokens, labels=tokens).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(tmp_path / "tuned")
    base = extract(lake, ExtractRequest(str(llava_folder), "pictures", max_new_tokens=4))
    tuned = extract(
        lake,
        ExtractRequest(str(llava_folder), "pictures", max_new_tokens=4, adapter=tmp_path / "tuned"),
    )
    assert tuned.model_id == "llava+adapter:tuned"
    assert tuned.n_vectors == base.n_vectors
    with tables(lake) as wh:
        models = wh.sql("SELECT model_id, name, variant FROM model ORDER BY model_id").fetchall()
        moved = wh.sql(
            "SELECT DISTINCT a.module FROM activation AS a JOIN activation AS b "
            "USING (module, layer, readout, sample_id) WHERE a.model_id = 'llava' "
            "AND b.model_id = 'llava+adapter:tuned' AND a.vector <> b.vector ORDER BY a.module"
        ).fetchall()
    assert models == [
        ("llava", "llava", "base"),
        ("llava+adapter:tuned", "llava", "adapter:tuned"),
    ]
    assert ("llm",) in moved


@pytest.mark.slow
def test_what_peft_brings_along_is_not_heard_of() -> None:
    """bitsandbytes, where it is there, tells of a kernel of its own for some processors."""
    program = "from extract.models import load_peft; load_peft()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
