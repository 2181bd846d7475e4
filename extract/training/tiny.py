"""Trains a tiny, real LLaVA from scratch to name the classes of one registered dataset.

    python -m extract.training.tiny --dataset digits --out extract/models/tiny-digits

The result is an ordinary model folder of transformers (`LlavaForConditionalGeneration`: a CLIP
tower read at its last layer but one, a two-layer connector, a Llama decoder, tokenizer, processor
and chat template) of less than 2 MB, so that everything Layerhouse does can be tried in seconds on
a model that really sees. Weights come from the train split alone; the val split chooses the epoch.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import torch
import transformers
from tokenizers import Tokenizer, decoders, pre_tokenizers, trainers
from tokenizers import models as tokenizer_models
from torch import Tensor, nn

from extract.datasets import registered, resolve
from extract.models.prompts import build_prompt, phrase_tokens, render
from warehouse.catalogue.refreshing import connect
from warehouse.catalogue.samples import DatasetInfo, dataset
from warehouse.errors import LayerhouseError
from warehouse.images import open_image
from warehouse.lake.lake import Lake

PAD, BOS, EOS, IMAGE = "<pad>", "<s>", "</s>", "<image>"
CHAT_TEMPLATE = (  # the one of LLaVA-1.5
    "{% for message in messages %}"
    "{% if message['role'] == 'user' %}USER: {% else %}ASSISTANT: {% endif %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>\n{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% if message['role'] == 'user' %} {% else %}</s>{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)
IGNORED = -100  # torch's mark for a target that does not count
AUGMENTATIONS = ("none", "shift", "flip", "turn")


@dataclass(frozen=True)
class Recipe:
    """How a tiny model is built and trained; the defaults suit a few hundred to thousand images.

    `augment`: shift moves an image by up to 1/16 of its side, flip adds mirror images, turn adds
    quarter turns as well. `spread` is the standard deviation of the decoder's initial weights:
    at the usual 0.02 so small a decoder needs three times the epochs.
    """

    epochs: int = 30
    seed: int = 0
    image_size: int = 64
    patch_size: int = 8
    width: int = 64
    layers: int = 4
    heads: int = 4
    spread: float = 0.08
    augment: str = "flip"
    batch_size: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    warm_up: float = 0.05


@dataclass(frozen=True)
class Epoch:
    """What one epoch came to: mean losses per answer token, and exact answers on val."""

    number: int
    train_loss: float
    val_loss: float
    val_accuracy: float
    seconds: float


@dataclass(frozen=True)
class Examples:
    """Preprocessed images [n, 3, size, size] and their class indices [n]."""

    pixels: Tensor
    classes: Tensor

    def __len__(self) -> int:
        return len(self.classes)


def suggested_recipe(info: DatasetInfo, **overrides: Any) -> Recipe:
    """A recipe for a dataset by the size of its images.

    Thumbnails of at most 32 pixels (characters, say, which no mirror leaves alone) are seen at 32
    and shifted; larger images are seen at 64 and mirrored too.
    """
    longest = max(info.samples["width"].max(), info.samples["height"].max())  # type: ignore[type-var]
    small = longest <= 32  # type: ignore[operator]
    base = {"image_size": 32, "augment": "shift"} if small else {}
    return Recipe(**{**base, **overrides})


def build_processor(question: str, phrases: Sequence[str], recipe: Recipe) -> Any:
    """A LlavaProcessor; its tokenizer (byte-level BPE) is trained on the prompt and its answers."""
    core = Tokenizer(tokenizer_models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=1024,
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=[PAD, BOS, EOS],
    )
    core.train_from_iterator([f"USER: \n{question} ASSISTANT: {p}" for p in phrases], trainer)
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token=PAD,
        bos_token=BOS,
        eos_token=EOS,
        padding_side="left",
        extra_special_tokens={"image_token": IMAGE},
    )
    side = {"height": recipe.image_size, "width": recipe.image_size}
    return transformers.LlavaProcessor(
        transformers.CLIPImageProcessorPil(size=side, do_center_crop=False),
        tokenizer,
        patch_size=recipe.patch_size,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,  # the tower's CLS token, which `default` drops again
        chat_template=CHAT_TEMPLATE,
    )


def build_model(tokenizer: Any, recipe: Recipe) -> Any:
    """The untrained model; random weights come from torch's global generator."""
    block = {
        "hidden_size": recipe.width,
        "intermediate_size": 2 * recipe.width,
        "num_hidden_layers": recipe.layers,
        "num_attention_heads": recipe.heads,
    }
    vision = {
        "model_type": "clip_vision_model",
        "image_size": recipe.image_size,
        "patch_size": recipe.patch_size,
        "projection_dim": recipe.width,
        **block,
    }
    text = {
        "model_type": "llama",
        "vocab_size": 8 * math.ceil(len(tokenizer) / 8),
        "num_key_value_heads": recipe.heads // 2,
        "max_position_embeddings": 2048,
        "initializer_range": recipe.spread,
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        **block,
    }
    config = transformers.LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=tokenizer.convert_tokens_to_ids(IMAGE),
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
    )
    return transformers.LlavaForConditionalGeneration(config)


class Answers:
    """The prompt followed by each class's answer, as token ids ready for a batch.

    `ids` and `mask` are [classes, prompt + longest answer], padded on the right; `targets`
    [classes, longest answer] are what the model must say from the end of the prompt on.
    """

    def __init__(self, processor: Any, question: str, phrases: Sequence[str], image: Any) -> None:
        prompt, end = render(processor, question), processor.tokenizer.eos_token_id
        start = processor(images=[image], text=[prompt], return_tensors="pt")["input_ids"][0]
        spoken = [[*phrase_tokens(processor, question, phrase), end] for phrase in phrases]
        longest = max(map(len, spoken))
        self.prompt_length = len(start)
        self.targets = torch.full((len(phrases), longest), IGNORED)
        for row, answer in zip(self.targets, spoken, strict=True):
            row[: len(answer)] = torch.tensor(answer)
        counted = self.targets != IGNORED
        filled = self.targets.where(counted, torch.tensor(processor.tokenizer.pad_token_id))
        prompts = start.expand(len(phrases), -1)
        self.ids = torch.cat([prompts, filled], dim=1)
        self.mask = torch.cat([torch.ones_like(prompts), counted.long()], dim=1)

    def logits(self, model: Any, pixels: Tensor, classes: Tensor) -> Tensor:
        """[batch, longest answer, vocabulary]: what `model` says while given the right answer."""
        hidden = model.model(
            input_ids=self.ids[classes], attention_mask=self.mask[classes], pixel_values=pixels
        ).last_hidden_state
        return model.lm_head(hidden[:, self.prompt_length - 1 : -1])


def examples(info: DatasetInfo, split: str, processor: Any) -> Examples:
    """All images of one split, preprocessed; held in memory, since tiny models see small images."""
    rows = info.samples.filter(info.samples["split"] == split)
    images = processor.image_processor
    batches = [
        images([open_image(uri) for uri in chunk], return_tensors="pt")["pixel_values"]
        for chunk in _chunks(rows["uri"].to_list(), 256)
    ]
    return Examples(torch.cat(batches), torch.tensor(rows["class_index"].to_list()))


def augmented(pixels: Tensor, how: str, generator: torch.Generator) -> Tensor:
    """Each image of a batch [n, 3, size, size] changed at random as `Recipe.augment` says."""
    if how == "none":
        return pixels
    n, size = len(pixels), pixels.shape[-1]

    def some() -> Tensor:
        return torch.rand(n, 1, 1, 1, generator=generator) < 0.5

    if how in ("flip", "turn"):
        pixels = torch.where(some(), pixels.flip(-1), pixels)
    if how == "turn":
        pixels = torch.where(some(), pixels.flip(-2), pixels)
        pixels = torch.where(some(), pixels.transpose(-1, -2), pixels)
    reach = size // 16
    room = nn.functional.pad(pixels, (reach,) * 4, mode="replicate")
    corners = torch.randint(0, 2 * reach + 1, (n, 2), generator=generator).tolist()
    return torch.stack(
        [image[:, y : y + size, x : x + size] for image, (y, x) in zip(room, corners, strict=True)]
    )


@torch.no_grad()
def evaluate(model: Any, answers: Answers, data: Examples) -> tuple[float, float]:
    """Mean loss per answer token, and the share of images whose whole answer is the greedy one."""
    model.eval()
    loss, tokens, right = 0.0, 0, 0
    for pixels, classes in zip(data.pixels.split(256), data.classes.split(256), strict=True):
        logits, targets = answers.logits(model, pixels, classes), answers.targets[classes]
        counted = targets != IGNORED
        loss += float(_loss(logits, targets, reduction="sum"))
        tokens += int(counted.sum())
        right += int(((logits.argmax(-1) == targets) | ~counted).all(dim=1).sum())
    return loss / tokens, right / len(data)


def fit(
    model: Any,
    answers: Answers,
    train: Examples,
    val: Examples,
    recipe: Recipe,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> list[Epoch]:
    """Trains `model` in place and leaves it at its best epoch on val (accuracy, then loss).

    AdamW with linear warm-up and cosine decay; the loss counts answer tokens alone.
    """
    generator = torch.Generator().manual_seed(recipe.seed)
    steps = recipe.epochs * math.ceil(len(train) / recipe.batch_size)
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, _warm_cosine(steps, recipe.warm_up))
    history: list[Epoch] = []
    best: dict[str, Tensor] = {}
    start = time.monotonic()
    for number in range(1, recipe.epochs + 1):
        model.train()
        total = 0.0
        for chosen in torch.randperm(len(train), generator=generator).split(recipe.batch_size):
            pixels = augmented(train.pixels[chosen], recipe.augment, generator)
            classes = train.classes[chosen]
            loss = _loss(answers.logits(model, pixels, classes), answers.targets[classes])
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            total += loss.item() * len(chosen)
        val_loss, accuracy = evaluate(model, answers, val)
        epoch = Epoch(number, total / len(train), val_loss, accuracy, time.monotonic() - start)
        history.append(epoch)
        if best_epoch(history) is epoch:
            best = {name: weight.clone() for name, weight in model.state_dict().items()}
        if on_epoch:
            on_epoch(epoch)
    model.load_state_dict(best)
    return history


def best_epoch(history: Sequence[Epoch]) -> Epoch:
    return max(history, key=lambda epoch: (epoch.val_accuracy, -epoch.val_loss))


def train_tiny_model(
    lake: Lake,
    dataset_id: str,
    out: Path,
    recipe: Recipe | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> list[Epoch]:
    """Trains on a registered dataset and saves the model folder, with `training.json`, to `out`.

    Reads the images of train and val only. Equal seeds give equal weights. Raises
    LayerhouseError where `out` holds something else than a model, or a split is empty.
    """
    _refuse_foreign(out)
    with connect(lake) as warehouse:
        info = dataset(warehouse, dataset_id)
    recipe = recipe or suggested_recipe(info)
    phrases = [row.phrase for row in info.classes]
    question = build_prompt(phrases)
    processor = build_processor(question, phrases, recipe)
    train, val = examples(info, "train", processor), examples(info, "val", processor)
    first = open_image(info.samples.filter(info.samples["split"] == "train")["uri"][0])
    answers = Answers(processor, question, phrases, first)
    with torch.random.fork_rng(devices=[]), _one_thread():
        torch.manual_seed(recipe.seed)
        model = build_model(processor.tokenizer, recipe)
        history = fit(model, answers, train, val, recipe, on_epoch)
    model.generation_config.max_new_tokens = answers.targets.shape[1]
    model.save_pretrained(out)
    processor.save_pretrained(out)
    for weights in out.glob("*.safetensors"):  # written for the owner alone
        weights.chmod(0o644)
    record = _record(info, registered(lake)[dataset_id].fingerprint, question, recipe, history)
    text = json.dumps(record, indent=1, ensure_ascii=False)
    (out / "training.json").write_text(text + "\n", encoding="utf-8")
    return history


@contextmanager
def _one_thread() -> Iterator[None]:
    """Matrices this small gain little from threads and lose much where the cores are busy; besides,
    sums are then taken in one order, so that the number of cores does not change the weights.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def split_hash(info: DatasetInfo, split: str) -> str:
    """Identity of the images of one split, whatever their order."""
    rows = info.samples.filter(info.samples["split"] == split)
    return hashlib.sha256("\n".join(sorted(rows["sha256"])).encode()).hexdigest()


def _record(
    info: DatasetInfo, fingerprint: str, question: str, recipe: Recipe, history: Sequence[Epoch]
) -> dict[str, Any]:
    best = best_epoch(history)
    used = {
        split: {"n": int((info.samples["split"] == split).sum()), "sha256": split_hash(info, split)}
        for split in ("train", "val")
    }
    return {
        "dataset": info.dataset_id,
        "dataset_fingerprint": fingerprint,
        "phrases": [row.phrase for row in info.classes],
        "question": question,
        "splits_used": used,
        "recipe": asdict(recipe),
        "best_epoch": best.number,
        "train_loss": round(best.train_loss, 4),
        "val_loss": round(best.val_loss, 4),
        "val_accuracy": round(best.val_accuracy, 4),
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
    }


def _loss(logits: Tensor, targets: Tensor, reduction: str = "mean") -> Tensor:
    return nn.functional.cross_entropy(
        logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction=reduction
    )


def _warm_cosine(steps: int, warm_up: float) -> Callable[[int], float]:
    """The factor on the learning rate at a step: linear up over a share of all, cosine to zero."""
    rise = max(1, round(steps * warm_up))
    return lambda step: min(1.0, (step + 1) / rise) * (1 + math.cos(math.pi * step / steps)) / 2


def _chunks(items: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    if not items:
        raise LayerhouseError("a tiny model needs images in the splits train and val")
    return (items[start : start + size] for start in range(0, len(items), size))


def _refuse_foreign(out: Path) -> None:
    if out.is_dir() and any(out.iterdir()) and not (out / "training.json").is_file():
        raise LayerhouseError(f"{out} holds other files; give a new folder for the model")


@click.command(help="Train a tiny LLaVA on a registered dataset or any source of one.")
@click.option("--dataset", "name", required=True, help="A registered dataset, or a path.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write.")
@click.option("--lake", default=None, help="The lake that holds the dataset.")
@click.option("--epochs", type=click.IntRange(min=1))
@click.option("--seed", type=int)
@click.option("--image-size", type=click.IntRange(min=16))
@click.option("--augment", type=click.Choice(AUGMENTATIONS))
@click.option("--learning-rate", type=click.FloatRange(min=0, min_open=True))
@click.option("--batch-size", type=click.IntRange(min=1))
def main(name: str, out: Path, lake: str | None, **given: Any) -> None:
    """The command line; options left out follow `suggested_recipe`."""
    transformers.logging.disable_progress_bar()
    place = Lake.at(lake)
    try:
        dataset_id = resolve(place, name)
        with connect(place) as warehouse:
            info = dataset(warehouse, dataset_id)
        chosen = {key: value for key, value in given.items() if value is not None}
        recipe = suggested_recipe(info, **chosen)
        history = train_tiny_model(place, dataset_id, out, recipe, _print_epoch)
    except LayerhouseError as error:
        click.echo(f"Error: {error}", err=True)
        raise SystemExit(error.exit_code) from error
    best = best_epoch(history)
    print(f"{out}: epoch {best.number} is the best, with {best.val_accuracy:.3f} of val right")


def _print_epoch(epoch: Epoch) -> None:
    print(
        f"epoch {epoch.number:3d}  train loss {epoch.train_loss:.3f}  "
        f"val loss {epoch.val_loss:.3f}  val accuracy {epoch.val_accuracy:.3f}  "
        f"{epoch.seconds:5.0f} s",
        flush=True,
    )


if __name__ == "__main__":
    main()
