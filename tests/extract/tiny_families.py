"""Tiny random models of the real classes with processors built offline, one per family.

Sizes are a few dozen wide and a few layers deep; everything structural (towers, connectors, packed
patches, tiles, resamplers, cross-attention) is the real thing. Weights are drawn so that images
matter: fresh initialisation makes some families (gemma3, mllama) exactly image-blind.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers as hf
from PIL import Image
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from extract.models.processors import NoVideo, RowwiseProcessor, image_only

WIDTH, LAYERS, HEADS = 32, 3, 4
TEXT_WIDTH, TEXT_LAYERS = 64, 4
PATCH, SIDE = 14, 56
WORDS = [
    "USER: ASSISTANT: user assistant What does this image show? Answer with one of: benign, "
    "malignant, normal chest x-ray, pneumonia."
]

Parts = tuple[Any, Any]
FAMILIES: dict[str, Callable[[], Parts]] = {}


def family(build: Callable[[], Parts]) -> Callable[[], Parts]:
    FAMILIES[build.__name__] = build
    return build


def save_family(name: str, folder: Path) -> Path:
    """Build a family and write it as a model folder, as one from the hub would lie on disk."""
    torch.manual_seed(0)
    model, processor = FAMILIES[name]()
    sharpen(model).save_pretrained(folder)
    if isinstance(processor, RowwiseProcessor):
        processor.tokenizer.save_pretrained(folder)
        processor.image_processor.save_pretrained(folder)
        merge = processor.step // PATCH
        settings = {"processor_class": "PixtralProcessor", "patch_size": PATCH}
        settings |= {"spatial_merge_size": merge}
        (folder / "processor_config.json").write_text(json.dumps(settings))
        (folder / "chat_template.jinja").write_text(processor.chat_template or "")
    else:
        processor.save_pretrained(folder)
    return folder


def sharpen(model: Any) -> Any:
    """Weights wide enough that images and positions change the answer."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() >= 2:
                projection = name.endswith("mm_input_projection_weight")
                fan = weight.shape[0] if projection else weight[0].numel()
                wide = any(word in name for word in ("embed_tokens", "query_tokens", "latents"))
                drawn = torch.randn(weight.shape, generator=generator)
                weight.copy_(drawn * (1.0 if wide else fan**-0.5))
            elif "gate" in name and weight.numel() == 1:
                weight.fill_(0.5)
    model.tie_weights()
    return model.eval()


def picture(width: int, height: int, seed: int = 0) -> Image.Image:
    """A smooth random image."""
    coarse = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def tokenizer(
    named: dict[str, str] | None = None, extra: tuple[str, ...] = (), padding_side: str = "left"
) -> Any:
    """Byte-level BPE trained here; `named` special tokens become attributes of the tokenizer."""
    core = Tokenizer(models.BPE(unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<pad>", "<s>", "</s>", "<unk>"],
    )
    core.train_from_iterator(WORDS * 4, trainer)
    found = hf.PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        padding_side=padding_side,
        **({"extra_special_tokens": named} if named else {}),
    )
    found.add_tokens([hf.AddedToken(text, special=True, normalized=False) for text in extra])
    return found


def vocabulary(tok: Any) -> int:
    """The tokenizer's length, with room for what a processor adds."""
    return int((len(tok) + 127) // 64 * 64)


def ids_of(tok: Any) -> dict[str, int]:
    return {
        "pad_token_id": tok.pad_token_id,
        "bos_token_id": tok.bos_token_id,
        "eos_token_id": tok.eos_token_id,
    }


def text(tok: Any, model_type: str = "llama", **changes: Any) -> dict[str, Any]:
    return {
        "model_type": model_type,
        "vocab_size": vocabulary(tok),
        "hidden_size": TEXT_WIDTH,
        "intermediate_size": 96,
        "num_hidden_layers": TEXT_LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": 2,
        "max_position_embeddings": 4096,
        **ids_of(tok),
        **changes,
    }


def tower(model_type: str | None = None, **changes: Any) -> dict[str, Any]:
    sizes: dict[str, Any] = {
        "hidden_size": WIDTH,
        "intermediate_size": 64,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "image_size": SIDE,
        "patch_size": PATCH,
    }
    return sizes | ({"model_type": model_type} if model_type else {}) | changes


def clip(**changes: Any) -> dict[str, Any]:
    return tower("clip_vision_model", projection_dim=16, **changes)


def siglip(**changes: Any) -> dict[str, Any]:
    return tower("siglip_vision_model", vision_use_head=False, **changes)


def mrope(section: list[int], **more: Any) -> dict[str, Any]:
    return {"rope_type": "default", "mrope_section": section, "rope_theta": 1e6, **more}


def vicuna(image: str = "<image>") -> str:
    return (
        "{% for m in messages %}{% if m['role']=='user' %}USER: {% for c in m['content'] %}"
        "{% if c['type']=='image' %}" + image + "\n{% else %}{{ c['text'] }}{% endif %}"
        "{% endfor %} {% else %}ASSISTANT: {{ m['content'][0]['text'] }}</s>{% endif %}"
        "{% endfor %}{% if add_generation_prompt %}ASSISTANT:{% endif %}"
    )


def chatml(image: str) -> str:
    return (
        "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{% for c in m['content'] %}"
        "{% if c['type']=='image' %}" + image + "{% else %}{{ c['text'] }}{% endif %}{% endfor %}"
        "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )


CHAT_TOKENS = ("<|im_start|>", "<|im_end|>")
GEMMA_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<start_of_turn>"
    "{{ 'model' if m['role']=='assistant' else m['role'] }}\n{% for c in m['content'] %}"
    "{% if c['type']=='image' %}<start_of_image>{% else %}{{ c['text'] }}{% endif %}{% endfor %}"
    "<end_of_turn>\n{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
PIXTRAL_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{% if m['role']=='user' %}[INST]"
    "{% for c in m['content'] %}{% if c['type']=='image' %}[IMG]{% else %}{{ c['text'] }}"
    "{% endif %}{% endfor %}[/INST]{% else %}{{ m['content'][0]['text'] }}{{ eos_token }}"
    "{% endif %}{% endfor %}"
)


def square(side: int = SIDE) -> dict[str, int]:
    return {"height": side, "width": side}


def pixels(step: int, most: int = 16) -> dict[str, int]:
    return {"shortest_edge": step * step, "longest_edge": step * step * most}


def _llava(language: str, vision: dict[str, Any], template: str, *, with_cls: bool) -> Parts:
    tok = tokenizer({"image_token": "<image>"}, (*CHAT_TOKENS, "[INST]", "[/INST]"))
    strategy = "default" if with_cls else "full"
    config = hf.LlavaConfig(
        text_config=text(tok, language),
        vision_config=vision,
        image_token_index=tok.image_token_id,
        vision_feature_select_strategy=strategy,
        vision_feature_layer=-2,
    )
    images = (
        hf.CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size=square())
        if with_cls
        else hf.SiglipImageProcessorPil(size=square())
    )
    processor = hf.LlavaProcessor(
        images,
        tok,
        patch_size=PATCH,
        vision_feature_select_strategy=strategy,
        num_additional_image_tokens=int(with_cls),
        chat_template=template,
    )
    return hf.LlavaForConditionalGeneration(config), processor


@family
def llava() -> Parts:
    """LLaVA-Med and HuatuoGPT-Vision-34B have this layout."""
    return _llava("mistral", clip(), vicuna(), with_cls=True)


@family
def llava_siglip_qwen2() -> Parts:
    return _llava("qwen2", siglip(), chatml("<image>\n"), with_cls=False)


@family
def llava_next() -> Parts:
    tok = tokenizer({"image_token": "<image>"}, ("[INST]", "[/INST]"))
    grids = [[56, 112], [112, 56], [112, 112]]
    config = hf.LlavaNextConfig(
        text_config=text(tok, "mistral"),
        vision_config=clip(),
        image_token_index=tok.image_token_id,
        image_grid_pinpoints=grids,
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
    )
    images = hf.LlavaNextImageProcessorPil(
        size={"shortest_edge": SIDE}, crop_size=square(), image_grid_pinpoints=grids
    )
    processor = hf.LlavaNextProcessor(
        images,
        tok,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=vicuna(),
    )
    return hf.LlavaNextForConditionalGeneration(config), processor


@family
def llava_onevision() -> Parts:
    tok = tokenizer({"image_token": "<image>", "video_token": "<video>"}, CHAT_TOKENS)
    grids = [[56, 56], [56, 112], [112, 56], [112, 112]]
    config = hf.LlavaOnevisionConfig(
        text_config=text(tok, "qwen2"),
        vision_config=siglip(),
        image_token_index=tok.image_token_id,
        video_token_index=tok.video_token_id,
        image_grid_pinpoints=grids,
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
    )
    images = hf.LlavaOnevisionImageProcessorPil(size=square(), image_grid_pinpoints=grids)
    processor = image_only(hf.LlavaOnevisionProcessor)(
        images,
        tok,
        NoVideo(),
        num_image_tokens=16,
        vision_feature_select_strategy="full",
        chat_template=chatml("<image>\n"),
    )
    return hf.LlavaOnevisionForConditionalGeneration(config), processor


QWEN_NAMES = {
    "image_token": "<|image_pad|>",
    "video_token": "<|video_pad|>",
    "vision_start_token": "<|vision_start|>",
    "vision_end_token": "<|vision_end|>",
}
QWEN_TEMPLATE = chatml("<|vision_start|><|image_pad|><|vision_end|>")


def _qwen(
    model_class: Any,
    config_class: Any,
    processor_class: Any,
    language: dict[str, Any],
    **vision: Any,
) -> Parts:
    tok = tokenizer(QWEN_NAMES, CHAT_TOKENS)
    patch = vision.get("patch_size", PATCH)
    config = config_class(
        text_config=text(tok, **language),
        vision_config={
            "depth": LAYERS,
            "num_heads": HEADS,
            "patch_size": patch,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            **vision,
        },
        image_token_id=tok.image_token_id,
        video_token_id=tok.video_token_id,
        vision_start_token_id=tok.vision_start_token_id,
        vision_end_token_id=tok.vision_end_token_id,
    )
    images = hf.Qwen2VLImageProcessorPil(patch_size=patch, size=pixels(2 * patch))
    processor = image_only(processor_class)(images, tok, NoVideo(), chat_template=QWEN_TEMPLATE)
    return model_class(config), processor


@family
def qwen2_vl() -> Parts:
    """MedVLM-R1 and Med-R1."""
    language = {"model_type": "qwen2_vl_text", "rope_parameters": mrope([2, 3, 3])}
    return _qwen(
        hf.Qwen2VLForConditionalGeneration,
        hf.Qwen2VLConfig,
        hf.Qwen2VLProcessor,
        language,
        embed_dim=WIDTH,
        hidden_size=TEXT_WIDTH,
        mlp_ratio=2,
    )


@family
def qwen2_5_vl() -> Parts:
    """Lingshu, ShizhenGPT, QoQ-Med; the tower works in windows."""
    language = {"model_type": "qwen2_5_vl_text", "rope_parameters": mrope([2, 3, 3])}
    return _qwen(
        hf.Qwen2_5_VLForConditionalGeneration,
        hf.Qwen2_5_VLConfig,
        hf.Qwen2_5_VLProcessor,
        language,
        hidden_size=WIDTH,
        out_hidden_size=TEXT_WIDTH,
        intermediate_size=64,
        window_size=SIDE,
        fullatt_block_indexes=[LAYERS - 1],
    )


@family
def qwen3_vl() -> Parts:
    """MedMO; features of inner blocks of the tower enter between decoder blocks."""
    rope = mrope([2, 3, 3], mrope_interleaved=True)
    return _qwen(
        hf.Qwen3VLForConditionalGeneration,
        hf.Qwen3VLConfig,
        hf.Qwen3VLProcessor,
        {"model_type": "qwen3_vl_text", "head_dim": 16, "rope_parameters": rope},
        hidden_size=WIDTH,
        out_hidden_size=TEXT_WIDTH,
        intermediate_size=64,
        patch_size=16,
        num_position_embeddings=64,
        deepstack_visual_indexes=[0, 1],
    )


LINEAR = {
    "head_dim": 16,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 2,
    "linear_key_head_dim": 16,
    "linear_value_head_dim": 16,
    "layer_types": ["linear_attention"] * 3 + ["full_attention"],
    "rope_parameters": mrope([2, 1, 1], mrope_interleaved=True, partial_rotary_factor=0.5),
}


@family
def qwen3_5() -> Parts:
    """Three of four decoder blocks have linear attention."""
    return _qwen(
        hf.Qwen3_5ForConditionalGeneration,
        hf.Qwen3_5Config,
        hf.Qwen3VLProcessor,
        {"model_type": "qwen3_5_text", **LINEAR},
        hidden_size=WIDTH,
        out_hidden_size=TEXT_WIDTH,
        intermediate_size=64,
        patch_size=16,
        num_position_embeddings=64,
    )


def _video_llama_3(language: str, **changes: Any) -> Parts:
    tok = tokenizer(QWEN_NAMES, CHAT_TOKENS)
    config = hf.VideoLlama3Config(
        text_config=text(tok, language, **changes),
        vision_config={k: v for k, v in tower().items() if k != "image_size"},
        image_token_id=tok.image_token_id,
        video_token_id=tok.video_token_id,
    )
    images = hf.VideoLlama3ImageProcessorPil(size=pixels(28), merge_size=1)
    processor = image_only(hf.VideoLlama3Processor)(
        images, tok, NoVideo(), chat_template=chatml("<|image_pad|>\n")
    )
    return hf.VideoLlama3ForConditionalGeneration(config), processor


@family
def video_llama_3() -> Parts:
    """Hulu-Med-7B and -32B."""
    return _video_llama_3("qwen2")


@family
def video_llama_3_qwen3() -> Parts:
    """Hulu-Med-4B and -14B."""
    return _video_llama_3("qwen3", head_dim=16)


@family
def gemma3() -> Parts:
    """MedGemma."""
    names = {
        "image_token": "<image_soft_token>",
        "boi_token": "<start_of_image>",
        "eoi_token": "<end_of_image>",
    }
    tok = tokenizer(names, ("<start_of_turn>", "<end_of_turn>"))
    language = text(
        tok,
        "gemma3_text",
        head_dim=16,
        sliding_window=32,
        query_pre_attn_scalar=16,
        layer_types=["sliding_attention"] * 3 + ["full_attention"],
    )
    config = hf.Gemma3Config(
        text_config=language,
        vision_config=siglip(image_size=112),
        mm_tokens_per_image=16,
        boi_token_index=tok.boi_token_id,
        eoi_token_index=tok.eoi_token_id,
        image_token_index=tok.image_token_id,
    )
    images = hf.Gemma3ImageProcessorPil(size=square(112), do_pan_and_scan=False)
    processor = hf.Gemma3Processor(images, tok, chat_template=GEMMA_TEMPLATE, image_seq_length=16)
    return hf.Gemma3ForConditionalGeneration(config), processor


@family
def gemma4() -> Parts:
    names = {
        "image_token": "<|image|>",
        "boi_token": "<|image>",
        "eoi_token": "<image|>",
        "audio_token": "<|audio|>",
        "boa_token": "<|audio>",
        "eoa_token": "<audio|>",
        "video_token": "<|video|>",
    }
    tok = tokenizer(names, CHAT_TOKENS)
    language = text(
        tok,
        "gemma4_text",
        head_dim=16,
        global_head_dim=16,
        sliding_window=32,
        layer_types=["sliding_attention"] * 3 + ["full_attention"],
        vocab_size_per_layer_input=vocabulary(tok),
        hidden_size_per_layer_input=0,
        num_kv_shared_layers=0,
        enable_moe_block=False,
    )
    vision = {
        "num_key_value_heads": HEADS,
        "head_dim": 8,
        "pooling_kernel_size": 2,
        "position_embedding_size": 64,
    }
    config = hf.Gemma4Config(
        text_config=language,
        vision_config={k: v for k, v in tower(**vision).items() if k != "image_size"},
        audio_config=None,
        image_token_id=tok.image_token_id,
        boi_token_id=tok.boi_token_id,
        eoi_token_id=tok.eoi_token_id,
    )
    images = hf.Gemma4ImageProcessorPil(patch_size=PATCH, max_soft_tokens=70, pooling_kernel_size=2)
    processor = image_only(hf.Gemma4Processor)(
        hf.Gemma4AudioFeatureExtractor(),
        images,
        tok,
        NoVideo(),
        image_seq_length=70,
        chat_template=chatml("<|image|>"),
    )
    return hf.Gemma4ForConditionalGeneration(config), processor


@family
def paligemma() -> Parts:
    tok = tokenizer({"image_token": "<image>"})
    images = hf.SiglipImageProcessorPil(size=square())
    images.image_seq_length = 16
    plain = (
        "{% for m in messages %}{% for c in m['content'] %}{% if c['type']=='image' %}<image>"
        "{% else %}{{ c['text'] }}{% endif %}{% endfor %}{% endfor %}"
    )
    processor = hf.PaliGemmaProcessor(images, tok, chat_template=plain)
    config = hf.PaliGemmaConfig(
        text_config=text(tok, "gemma", head_dim=16),
        vision_config=siglip(projection_dim=TEXT_WIDTH),
        image_token_index=tok.image_token_id,
        projection_dim=TEXT_WIDTH,
        hidden_size=TEXT_WIDTH,
    )
    return hf.PaliGemmaForConditionalGeneration(config), processor


@family
def idefics2() -> Parts:
    """A perceiver resampler between tower and decoder."""
    tok = tokenizer()
    images = hf.Idefics2ImageProcessorPil(
        do_image_splitting=False, size={"shortest_edge": 42, "longest_edge": SIDE}
    )
    processor = hf.Idefics2Processor(images, tok, image_seq_len=8, chat_template=chatml("<image>"))
    perceiver = {
        "hidden_size": TEXT_WIDTH,
        "resampler_n_latents": 8,
        "resampler_depth": 2,
        "resampler_n_heads": 4,
        "resampler_head_dim": 16,
        "num_key_value_heads": 2,
    }
    config = hf.Idefics2Config(
        text_config=text(tok, "mistral"),
        vision_config=tower(),
        perceiver_config=perceiver,
        image_token_id=processor.image_token_id,
    )
    return hf.Idefics2ForConditionalGeneration(config), processor


@family
def idefics3() -> Parts:
    tok = tokenizer()
    images = hf.Idefics3ImageProcessorPil(
        size={"longest_edge": 112}, max_image_size={"longest_edge": SIDE}, do_image_splitting=True
    )
    processor = hf.Idefics3Processor(images, tok, image_seq_len=4, chat_template=chatml("<image>"))
    config = hf.Idefics3Config(
        text_config=text(tok),
        vision_config=tower(),
        scale_factor=2,
        image_token_id=processor.image_token_id,
    )
    return hf.Idefics3ForConditionalGeneration(config), processor


@family
def smolvlm() -> Parts:
    names = {
        "image_token": "<image>",
        "fake_image_token": "<fake_token_around_image>",
        "global_image_token": "<global-img>",
        "end_of_utterance_token": "<end_of_utterance>",
    }
    tok = tokenizer(names)
    images = hf.SmolVLMImageProcessorPil(
        size={"longest_edge": 112}, max_image_size={"longest_edge": SIDE}, do_image_splitting=False
    )
    processor = image_only(hf.SmolVLMProcessor)(
        images, tok, NoVideo(), image_seq_len=4, chat_template=chatml("<image>")
    )
    config = hf.SmolVLMConfig(
        text_config=text(tok),
        vision_config=tower(),
        scale_factor=2,
        image_token_id=processor.image_token_id,
    )
    return hf.SmolVLMForConditionalGeneration(config), processor


@family
def internvl() -> Parts:
    names = {
        "start_image_token": "<img>",
        "end_image_token": "</img>",
        "context_image_token": "<IMG_CONTEXT>",
        "video_token": "<video>",
    }
    tok = tokenizer(names, CHAT_TOKENS)
    config = hf.InternVLConfig(
        text_config=text(tok, "qwen2"),
        vision_config=tower(image_size=[SIDE, SIDE], patch_size=[PATCH, PATCH]),
        image_token_id=tok.context_image_token_id,
        image_seq_length=4,
        downsample_ratio=0.5,
        vision_feature_layer=-1,
    )
    images = hf.GotOcr2ImageProcessorPil(
        size=square(), crop_to_patches=True, min_patches=1, max_patches=4
    )
    processor = image_only(hf.InternVLProcessor)(
        images, tok, NoVideo(), image_seq_length=4, chat_template=chatml("<IMG_CONTEXT>\n")
    )
    return hf.InternVLForConditionalGeneration(config), processor


@family
def mllama() -> Parts:
    """No image tokens in the prompt: the decoder looks at the image by cross-attention."""
    tok = tokenizer({"image_token": "<|image|>"}, ("<|python_tag|>", *CHAT_TOKENS))
    vision = tower(
        num_global_layers=2,
        attention_heads=HEADS,
        max_num_tiles=4,
        vision_output_dim=3 * WIDTH,
        intermediate_layers_indices=[1, 2],
        supported_aspect_ratios=[[1, 1], [1, 2], [1, 3], [1, 4], [2, 1], [2, 2], [3, 1], [4, 1]],
    )
    language = text(
        tok,
        "mllama_text_model",
        cross_attention_layers=[1, 3],
        rope_parameters={"rope_type": "default", "rope_theta": 5e5},
    )
    config = hf.MllamaConfig(
        text_config=language, vision_config=vision, image_token_index=tok.image_token_id
    )
    images = hf.MllamaImageProcessorPil(size=square(), max_image_tiles=4)
    processor = hf.MllamaProcessor(images, tok, chat_template=chatml("<|image|>"))
    return hf.MllamaForConditionalGeneration(config), processor


def _qformer(tok: Any) -> dict[str, Any]:
    return {
        "hidden_size": 48,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "encoder_hidden_size": WIDTH,
        "vocab_size": vocabulary(tok),
        "cross_attention_frequency": 1,
    }


@family
def blip_2() -> Parts:
    """A Q-Former, and a language model without a chat template."""
    tok = tokenizer()
    processor = hf.Blip2Processor(hf.BlipImageProcessorPil(size=square()), tok, num_query_tokens=8)
    language = {
        "model_type": "opt",
        "vocab_size": vocabulary(tok),
        "hidden_size": TEXT_WIDTH,
        "ffn_dim": 96,
        "num_hidden_layers": TEXT_LAYERS,
        "num_attention_heads": HEADS,
        "word_embed_proj_dim": TEXT_WIDTH,
        "max_position_embeddings": 512,
        **ids_of(tok),
    }
    config = hf.Blip2Config(
        text_config=language,
        vision_config=tower(),
        qformer_config=_qformer(tok),
        num_query_tokens=8,
        image_token_index=tok.convert_tokens_to_ids("<image>"),
    )
    return hf.Blip2ForConditionalGeneration(config), processor


@family
def instructblip() -> Parts:
    tok, qformer_tok = tokenizer(), tokenizer(padding_side="right")
    images = hf.BlipImageProcessorPil(size=square())
    processor = hf.InstructBlipProcessor(images, tok, qformer_tok, num_query_tokens=8)
    config = hf.InstructBlipConfig(
        text_config=text(tok),
        vision_config=tower(),
        qformer_config=_qformer(qformer_tok),
        num_query_tokens=8,
        image_token_index=tok.convert_tokens_to_ids("<image>"),
    )
    return hf.InstructBlipForConditionalGeneration(config), processor


@family
def janus() -> Parts:
    names = {
        "image_token": "<image_placeholder>",
        "boi_token": "<begin_of_image>",
        "eoi_token": "<end_of_image>",
    }
    tok = tokenizer(names)
    vision = tower(projection_dim=TEXT_WIDTH, mlp_ratio=2.0, num_image_tokens=16, depth=2)
    del vision["intermediate_size"]
    codes = {
        "embed_dim": 8,
        "num_embeddings": 32,
        "latent_channels": 8,
        "base_channels": 32,
        "channel_multiplier": [1, 1],
        "num_res_blocks": 1,
        "projection_dim": TEXT_WIDTH,
        "image_token_embed_dim": TEXT_WIDTH,
        "num_patches": 4,
    }
    config = hf.JanusConfig(
        text_config=text(tok),
        vision_config=vision,
        vq_config=codes,
        image_token_id=tok.image_token_id,
    )
    images = hf.JanusImageProcessorPil(size=square(), min_size=14)
    processor = hf.JanusProcessor(
        images, tok, num_image_tokens=16, chat_template=vicuna("<image_placeholder>")
    )
    return hf.JanusForConditionalGeneration(config), processor


PIXTRAL_NAMES = {
    "image_token": "[IMG]",
    "image_break_token": "[IMG_BREAK]",
    "image_end_token": "[IMG_END]",
}


def _pixtral(merge: int) -> tuple[Any, dict[str, Any], Any]:
    tok = tokenizer(PIXTRAL_NAMES, ("[INST]", "[/INST]"))
    rope = {"rope_type": "default", "rope_theta": 1e4}
    vision = tower("pixtral", image_size=112, rope_parameters=rope)
    images = hf.PixtralImageProcessorPil(
        size={"longest_edge": 112}, patch_size=square(PATCH * merge)
    )
    processor = RowwiseProcessor(
        images, tok, patch_size=PATCH, spatial_merge_size=merge, chat_template=PIXTRAL_TEMPLATE
    )
    return tok, vision, processor


@family
def mistral3() -> Parts:
    tok, vision, processor = _pixtral(merge=2)
    config = hf.Mistral3Config(
        text_config=text(tok, "mistral", head_dim=16),
        vision_config=vision,
        image_token_index=tok.image_token_id,
        spatial_merge_size=2,
        vision_feature_layer=-1,
    )
    return hf.Mistral3ForConditionalGeneration(config), processor


@family
def pixtral_llava() -> Parts:
    tok, vision, processor = _pixtral(merge=1)
    config = hf.LlavaConfig(
        text_config=text(tok, "mistral", head_dim=16),
        vision_config=vision,
        image_token_index=tok.image_token_id,
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
    )
    return hf.LlavaForConditionalGeneration(config), processor


@family
def glm4v() -> Parts:
    extra = ("<|begin_of_image|>", "<|end_of_image|>", "<|begin_of_video|>", "<|end_of_video|>")
    names = {"image_token": "<|image|>", "video_token": "<|video|>"}
    tok = tokenizer(names, (*extra, *CHAT_TOKENS))
    rope = mrope([2, 1, 1], partial_rotary_factor=0.5)
    starts = ("image_start", "image_end", "video_start", "video_end")
    marks = {
        f"{name}_token_id": tok.convert_tokens_to_ids(mark)
        for name, mark in zip(starts, extra, strict=True)
    }
    vision = {
        "depth": LAYERS,
        "hidden_size": WIDTH,
        "out_hidden_size": TEXT_WIDTH,
        "num_heads": HEADS,
        "intermediate_size": 64,
        "image_size": SIDE,
        "patch_size": PATCH,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
    }
    config = hf.Glm4vConfig(
        text_config=text(tok, "glm4v_text", rope_parameters=rope),
        vision_config=vision,
        image_token_id=tok.image_token_id,
        video_token_id=tok.video_token_id,
        **marks,
    )
    images = hf.Glm4vImageProcessorPil(
        size={"shortest_edge": 28 * 28 * 2, "longest_edge": 28 * 28 * 32}
    )
    template = chatml("<|begin_of_image|><|image|><|end_of_image|>")
    processor = image_only(hf.Glm4vProcessor)(images, tok, NoVideo(), chat_template=template)
    return hf.Glm4vForConditionalGeneration(config), processor


@family
def ovis2() -> Parts:
    marks = ("<IMG_START>", "<IMG_GRID>", "<IMG_COL>", "<IMG_ROW>", "<IMG_END>")
    tok = tokenizer(extra=("<image>", "<IMG_ATOM>", *marks, *CHAT_TOKENS))
    config = hf.Ovis2Config(
        text_config=text(tok, "qwen2"),
        vision_config=tower(vocab_size=64, num_visual_indicator_tokens=5, hidden_stride=2),
        image_token_id=tok.convert_tokens_to_ids("<IMG_ATOM>"),
        visual_indicator_token_ids=[tok.convert_tokens_to_ids(mark) for mark in marks],
        vocab_size=vocabulary(tok),
        hidden_size=TEXT_WIDTH,
    )
    images = hf.Ovis2ImageProcessorPil(size=square(), crop_to_patches=True, max_patches=4)
    processor = hf.Ovis2Processor(
        images, tok, image_seq_length=4, chat_template=chatml("<image>\n")
    )
    return hf.Ovis2ForConditionalGeneration(config), processor


@family
def deepseek_vl() -> Parts:
    tok = tokenizer({"image_token": "<image_placeholder>"})
    config = hf.DeepseekVLConfig(
        text_config=text(tok), vision_config=siglip(), image_token_id=tok.image_token_id
    )
    images = hf.DeepseekVLImageProcessorPil(size=square(), min_size=14)
    processor = hf.DeepseekVLProcessor(
        images, tok, num_image_tokens=16, chat_template=vicuna("<image_placeholder>")
    )
    return hf.DeepseekVLForConditionalGeneration(config), processor


@family
def minicpmv4_6() -> Parts:
    """Merges patches inside the tower; three of four decoder blocks have linear attention."""
    names = {
        "image_token": "<unk_img>",
        "video_token": "<unk_vid>",
        "image_start_token": "<image>",
        "image_end_token": "</image>",
        "slice_start_token": "<slice>",
        "slice_end_token": "</slice>",
        "image_id_start_token": "<image_id>",
        "image_id_end_token": "</image_id>",
    }
    tok = tokenizer(names, CHAT_TOKENS)
    config = hf.MiniCPMV4_6Config(
        text_config=text(tok, "qwen3_5_text", **LINEAR),
        vision_config=tower(),
        image_token_id=tok.image_token_id,
        video_token_id=tok.video_token_id,
        insert_layer_id=1,
    )
    images = hf.MiniCPMV4_6ImageProcessorPil(scale_resolution=112, max_slice_nums=1)
    processor = image_only(hf.MiniCPMV4_6Processor)(
        images, NoVideo(), tok, chat_template=chatml("<unk_img>")
    )
    return hf.MiniCPMV4_6ForConditionalGeneration(config), processor


@family
def florence2() -> Parts:
    """An encoder-decoder: known, and refused."""
    tok = tokenizer({"image_token": "<image>"}, padding_side="right")
    language = {
        "model_type": "bart",
        "vocab_size": vocabulary(tok),
        "d_model": TEXT_WIDTH,
        "encoder_layers": 2,
        "decoder_layers": TEXT_LAYERS,
        "encoder_attention_heads": HEADS,
        "decoder_attention_heads": HEADS,
        "encoder_ffn_dim": 96,
        "decoder_ffn_dim": 96,
        "max_position_embeddings": 1024,
        "decoder_start_token_id": tok.eos_token_id,
        "forced_eos_token_id": None,
        **ids_of(tok),
    }
    vision = {
        "embed_dim": [8, 16, 32],
        "num_heads": [2, 2, 4],
        "num_groups": [2, 2, 4],
        "depths": [1, 1, 2],
        "patch_size": [7, 3, 3],
        "patch_stride": [4, 2, 2],
        "patch_padding": [3, 1, 1],
        "patch_prenorm": [False, True, True],
        "window_size": 4,
        "projection_dim": TEXT_WIDTH,
        "max_position_embeddings": 20,
    }
    config = hf.Florence2Config(
        text_config=language, vision_config=vision, image_token_id=tok.image_token_id
    )
    images = hf.CLIPImageProcessorPil(size=square(64), do_center_crop=False, crop_size=square(64))
    images.image_seq_length = 17
    return hf.Florence2ForConditionalGeneration(config), hf.Florence2Processor(images, tok)
