"""Folders: what lies in one that is no model or no adapter, told in a sentence with the way out.

People give what their tools left behind: the folder above, a trainer's state, weights of another
runtime. Each is named for what it is.
"""

from pathlib import Path

from warehouse.errors import LayerhouseError, UsageError, few
from warehouse.untrusted import read_object
from warehouse.variants import JOINT

TRAINING_RECORD = "training.json"
"""What the folder of a model or adapter may bring: `images`, the beginnings of the SHA-256 of the
files it was trained on, or `splits_used`, by split the hash of all of them (`images_hash`)."""
MEND_RECORD = "mend.json"
"""What the folder of a repair holds besides: which it is, and how it was trained."""
ANSWER_PART = "answer_part.safetensors"
"""What a repair that changes no weights is: numbers by which a model's classes are scored."""
ADAPTER_CONFIG, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
TRAINER_STATE = ("optimizer", "scheduler", "rng_state", "random_states", "training_args", "scaler")
"""What names of a trainer's own files begin with: nothing of them is the model's."""
POINTER, MOST_POINTER = b"version https://git-lfs.github.com/spec/", 1024
DEEP = ("*", "*/*", "*/*/*")


def refuse_no_model(folder: Path, *, weights: bool) -> None:
    """Raise LayerhouseError unless a folder has a config.json, and weights if they are needed."""
    if not folder.is_dir():
        raise LayerhouseError(
            f"{folder} is a file; give the folder that it lies in"
            if folder.exists()
            else f"{folder} does not exist"
        )
    _refuse_pointers(folder)
    whole = (folder / "config.json").is_file()
    if (folder / ADAPTER_CONFIG).is_file():
        base = read_object(folder / ADAPTER_CONFIG).get("base_model_name_or_path") or "its base"
        raise LayerhouseError(
            f"{folder} holds a model and an adapter, of which transformers would take both; move "
            f"{ADAPTER_CONFIG} and its weights into a folder of their own"
            if whole
            else f"{folder} holds an adapter: give {base} as --model and this folder as --adapter"
        )
    if not whole:
        raise LayerhouseError(
            f"{folder} is no model folder: it has no config.json (a model saved by transformers "
            f"has one next to its safetensors weights){_instead(folder, 'config.json')}"
        )
    if weights and not has_weights(folder):
        raise LayerhouseError(f"{folder} holds no *.safetensors weights; {_other_weights(folder)}")


def has_weights(folder: Path) -> bool:
    return any(folder.glob("*.safetensors"))


def refuse_unfit_adapter(folder: Path) -> None:
    """Raise UsageError unless a folder holds an adapter that can be read, and nothing that was
    trained beside it.
    """
    if JOINT in folder.resolve().name:
        raise UsageError(f"{folder}: an adapter is known by its folder, whose name may hold no +")
    if is_answer_part(folder):
        if not (folder / MEND_RECORD).is_file():
            raise UsageError(
                f"{folder} holds a repair without its {MEND_RECORD}, which says for which model it "
                "is; mend it anew"
            )
        return
    if not all((folder / name).is_file() for name in (ADAPTER_CONFIG, ADAPTER_WEIGHTS)):
        raise UsageError(f"{folder} is no adapter: {_lacking(folder)}")
    _refuse_pointers(folder)
    beside = [
        path.name
        for path in sorted(folder.iterdir())
        if path.suffix in (*PICKLED, ".safetensors")
        and path.stem != Path(ADAPTER_WEIGHTS).stem
        and not path.name.startswith(TRAINER_STATE)
    ]
    if beside:
        raise UsageError(
            f"beside the adapter {folder} lie weights that were trained with it and that peft does "
            f"not read ({', '.join(beside[:3])}); merge all of them into the base with the tool "
            "that wrote them, and give the result as --model"
        )


def is_answer_part(folder: Path) -> bool:
    """Whether a folder holds a repair that scores classes, and no weights to be merged."""
    return (folder / ANSWER_PART).is_file() and not (folder / ADAPTER_CONFIG).is_file()


def _refuse_pointers(folder: Path) -> None:
    """Raise LayerhouseError where git left a line about a file in the place of the file."""
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.stat().st_size < MOST_POINTER:
            with path.open("rb") as file:
                if file.read(len(POINTER)) == POINTER:
                    raise LayerhouseError(
                        f"{path} is a pointer of git-lfs, not the file itself; fetch it with `git "
                        "lfs pull` or `hf download`"
                    )


def clear_weights(folder: Path) -> list[Path]:
    """The files that are a folder's weights.

    Raises LayerhouseError unless it is clear which these are, and all of them are there.
    """
    single, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    shards = set(map(str, read_object(index)["weight_map"].values())) if index.is_file() else set()
    if single.is_file():
        if shards - {single.name}:  # transformers would take the one; one of both is older
            raise LayerhouseError(
                f"{folder} holds weights twice, in {single.name} and in the {len(shards)} files "
                f"that {index.name} names; take out those that are not meant"
            )
        return [single]
    lacking = sorted(name for name in shards if not (folder / name).is_file())
    if lacking:
        raise LayerhouseError(
            f"{folder} lacks {len(lacking)} of the {len(shards)} files that {index.name} names, "
            f"first {lacking[0]}; fetch them"
        )
    if not shards:
        there = sorted(path.name for path in folder.glob("*.safetensors"))
        raise LayerhouseError(
            f"{folder} holds {few(there, 6)}, but neither {single.name} nor {index.name}, which "
            "says what each file holds; fetch the index too, or give a single file that name"
        )
    return [folder / name for name in sorted(shards)]


def _lacking(folder: Path) -> str:
    if folder.is_file():
        return "it is a file; give the folder that it lies in"
    if not folder.exists():
        return "it does not exist; one on the hub is to be downloaded first (`hf download`)"
    if (folder / "adapter_model.bin").is_file():
        return (
            "its weights are pickled, which are not read; save it again with peft's save_pretrained"
        )
    if (folder / "config.json").is_file():
        return "it is a model of its own; give it as --model"
    return f"it needs {ADAPTER_CONFIG} and {ADAPTER_WEIGHTS}{_instead(folder, ADAPTER_CONFIG)}"


def _instead(folder: Path, wanted: str) -> str:
    """What else is there, as the end of a sentence."""
    inside = [
        path.parent.relative_to(folder).as_posix()
        for pattern in DEEP
        for path in sorted(folder.glob(f"{pattern}/{wanted}"))
    ]
    if inside:
        return f"; its folders {few(inside, 6)} have: give one of them"
    if list(folder.glob("*.gguf")):
        return f"; {_of_gguf(folder)}"
    return ""


def _other_weights(folder: Path) -> str:
    if list(folder.glob("global_step*")):
        return (
            "it is a training state of DeepSpeed: write its weights with `python zero_to_fp32.py . "
            "weights --safe_serialization`, and put the files of config and processor beside them"
        )
    if list(folder.glob("*/*.distcp")):
        return (
            "it is a training state of FSDP: write its weights with `accelerate merge-weights`, "
            "and put the files of config and processor beside them"
        )
    if list(folder.glob("*.gguf")):
        return _of_gguf(folder)
    return "pickled weights are not read, save the model again with save_pretrained"


def _of_gguf(folder: Path) -> str:
    names = sorted(path.name for path in folder.glob("*.gguf"))
    return (
        f"{few(names, 6)} are weights of llama.cpp, which are not read; give the model that they "
        "were made from"
    )
