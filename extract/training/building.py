"""The untrained tiny model and its processor, from a recipe and the words it will need."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import transformers
from tokenizers import Tokenizer, decoders, models as tokenizer_models, pre_tokenizers, trainers

from extract.training.recipe import Recipe

PAD, BOS, EOS, IMAGE = "<pad>", "<s>", "</s>", "<image>"
CHAT_TEMPLATE = (  # the one of LLaVA-1.5
    "{% for message in messages %}"
    "{% if message['role'] == 'user' %}USER: {% else %}ASSISTANT: {% endif %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>\n{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% if message['role'] == 'user' %} {% else %}</s>{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)


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
