#!/usr/bin/env python3
"""Writes a random Stable Diffusion 3.5 checkpoint of real names, shapes and layouts; needs numpy only.

    make_checkpoint.py --out DIR                      diffusers folder of medium, 16 GB
    make_checkpoint.py --out DIR --size tiny          a few MB, for trying the program out
    make_checkpoint.py --single-file FILE             the original single file, with the same values

Speed, memory and parity at the real size can so be tested without the licensed weights. The values keep the variance
of activations near one through all blocks. A tensor's values depend on the seed and its name only, so the folder and
the single file draw the same picture. Tensors are written one after the other: memory stays far below 1 GB.
"""

import argparse
import concurrent.futures
import dataclasses
import functools
import json
import math
import os
import shutil
import statistics
import sys
import zlib
from pathlib import Path

import numpy

REPOSITORY = Path(__file__).resolve().parent.parent
CHUNK = 1 << 22  # elements drawn at a time


# --- geometry -----------------------------------------------------------------------------------------------------

@dataclasses.dataclass
class Clip:
    width: int
    inner: int
    layers: int
    activation: str


@dataclasses.dataclass
class T5:
    width: int
    inner: int
    layers: int
    heads: int


@dataclasses.dataclass
class Vae:
    channels: list
    layers: int
    groups: int


@dataclasses.dataclass
class Transformer:
    layers: int
    heads: int
    positions: int
    dual: range
    sample: int = 128


@dataclasses.dataclass
class Size:
    clip_l: Clip
    clip_g: Clip
    t5: T5
    vae: Vae
    transformer: Transformer


REAL = dict(
    clip_l=Clip(768, 3072, 12, "quick_gelu"), clip_g=Clip(1280, 5120, 32, "gelu"), t5=T5(4096, 10240, 24, 64),
    vae=Vae([128, 256, 512, 512], 2, 32),
)
SIZES = {
    "medium": Size(transformer=Transformer(24, 24, 384, range(13)), **REAL),
    "large": Size(transformer=Transformer(38, 38, 192, range(0)), **REAL),
    "tiny": Size(
        Clip(64, 128, 2, "quick_gelu"), Clip(128, 256, 2, "gelu"), T5(256, 256, 2, 2), Vae([32, 64, 64, 64], 1, 32),
        Transformer(3, 2, 32, range(2), sample=32),
    ),
}
HEAD = 64


# --- tensors ------------------------------------------------------------------------------------------------------

@dataclasses.dataclass
class Tensor:
    """A tensor in diffusers naming; normal values, or the identity matrix."""

    name: str
    shape: tuple
    std: float
    mean: float = 0.0
    identity: bool = False


@dataclasses.dataclass
class Entry:
    """What a file stores under a name: tensors one below the other, or one with its halves swapped."""

    name: str
    shape: tuple
    parts: list
    swap_halves: bool = False

    @property
    def bytes(self):
        return 2 * math.prod(self.shape)


def linear(name, out, inner, gain=1.0, bias=0.05):
    tensors = [Tensor(f"{name}.weight", (out, inner), gain / math.sqrt(inner))]
    return tensors + ([Tensor(f"{name}.bias", (out,), bias)] if bias else [])


def conv(name, out, inner, kernel, gain=1.0):
    weight = Tensor(f"{name}.weight", (out, inner, kernel, kernel), gain / math.sqrt(inner * kernel**2))
    return [weight, Tensor(f"{name}.bias", (out,), 0.05)]


def norm(name, width, bias=True):
    weight = Tensor(f"{name}.weight", (width,), 0.1, mean=1.0)
    return [weight] + ([Tensor(f"{name}.bias", (width,), 0.05)] if bias else [])


def modulation(name, rows, width):
    # silu(temb) is near one, so shifts, scales and gates come out near 0.5.
    return linear(name, rows * width, width, gain=0.5, bias=0.2)


def clip_tensors(clip, vocab, identity_projection):
    c = clip.width
    yield Tensor("text_model.embeddings.token_embedding.weight", (vocab, c), 0.7)
    yield Tensor("text_model.embeddings.position_embedding.weight", (77, c), 0.4)
    for j in range(clip.layers):
        layer = f"text_model.encoder.layers.{j}"
        for projection in "kvq":
            yield from linear(f"{layer}.self_attn.{projection}_proj", c, c)
        yield from linear(f"{layer}.self_attn.out_proj", c, c, gain=0.4)
        yield from norm(f"{layer}.layer_norm1", c)
        yield from linear(f"{layer}.mlp.fc1", clip.inner, c)
        yield from linear(f"{layer}.mlp.fc2", c, clip.inner, gain=0.4)
        yield from norm(f"{layer}.layer_norm2", c)
    yield from norm("text_model.final_layer_norm", c)
    yield Tensor("text_projection.weight", (c, c), 1 / math.sqrt(c), identity=identity_projection)


def t5_tensors(t5, vocab):
    d, inner = t5.width, t5.heads * HEAD
    yield Tensor("shared.weight", (vocab, d), 1.0)
    for j in range(t5.layers):
        attention, feed_forward = (f"encoder.block.{j}.layer.{k}" for k in (0, 1))
        # T5 does not divide its scores by sqrt(64); the query weights do it.
        yield from linear(f"{attention}.SelfAttention.q", inner, d, gain=0.125, bias=0)
        yield from linear(f"{attention}.SelfAttention.k", inner, d, bias=0)
        yield from linear(f"{attention}.SelfAttention.v", inner, d, bias=0)
        yield from linear(f"{attention}.SelfAttention.o", d, inner, gain=0.5, bias=0)
        if j == 0:
            yield Tensor(f"{attention}.SelfAttention.relative_attention_bias.weight", (32, t5.heads), 1.0)
        yield from norm(f"{attention}.layer_norm", d, bias=False)
        yield from linear(f"{feed_forward}.DenseReluDense.wi_0", t5.inner, d, bias=0)
        yield from linear(f"{feed_forward}.DenseReluDense.wi_1", t5.inner, d, bias=0)
        yield from linear(f"{feed_forward}.DenseReluDense.wo", d, t5.inner, gain=0.5, bias=0)
        yield from norm(f"{feed_forward}.layer_norm", d, bias=False)
    yield from norm("encoder.final_layer_norm", d, bias=False)


def resnet_tensors(name, inner, out):
    yield from norm(f"{name}.norm1", inner)
    yield from conv(f"{name}.conv1", out, inner, 3, gain=1.3)
    yield from norm(f"{name}.norm2", out)
    yield from conv(f"{name}.conv2", out, out, 3, gain=0.8)
    if inner != out:
        yield from conv(f"{name}.conv_shortcut", out, inner, 1)


def vae_mid_tensors(name, c):
    yield from resnet_tensors(f"{name}.resnets.0", c, c)
    yield from norm(f"{name}.attentions.0.group_norm", c)
    for projection in ("to_q", "to_k", "to_v", "to_out.0"):
        yield from linear(f"{name}.attentions.0.{projection}", c, c)
    yield from resnet_tensors(f"{name}.resnets.1", c, c)


def vae_tensors(vae):
    channels, last = vae.channels, len(vae.channels) - 1
    yield from conv("encoder.conv_in", channels[0], 3, 3)
    for i, out in enumerate(channels):
        inner = channels[max(i - 1, 0)]
        for j in range(vae.layers):
            yield from resnet_tensors(f"encoder.down_blocks.{i}.resnets.{j}", inner if j == 0 else out, out)
        if i < last:
            yield from conv(f"encoder.down_blocks.{i}.downsamplers.0.conv", out, out, 3)
    yield from vae_mid_tensors("encoder.mid_block", channels[-1])
    yield from norm("encoder.conv_norm_out", channels[-1])
    yield from conv("encoder.conv_out", 32, channels[-1], 3)

    channels = channels[::-1]
    yield from conv("decoder.conv_in", channels[0], 16, 3)
    yield from vae_mid_tensors("decoder.mid_block", channels[0])
    for i, out in enumerate(channels):
        inner = channels[max(i - 1, 0)]
        for j in range(vae.layers + 1):
            yield from resnet_tensors(f"decoder.up_blocks.{i}.resnets.{j}", inner if j == 0 else out, out)
        if i < last:
            yield from conv(f"decoder.up_blocks.{i}.upsamplers.0.conv", out, out, 3)
    yield from norm("decoder.conv_norm_out", channels[-1])
    yield from conv("decoder.conv_out", 3, channels[-1], 3, gain=0.6)


def transformer_tensors(t, joint, pooled):
    d = t.heads * HEAD
    yield Tensor("pos_embed.pos_embed", (1, t.positions**2, d), 0.5)
    yield from conv("pos_embed.proj", d, 16, 2)
    for name, inner in (("timestep_embedder", 256), ("text_embedder", pooled)):
        yield from linear(f"time_text_embed.{name}.linear_1", d, inner, gain=1.4)
        yield from linear(f"time_text_embed.{name}.linear_2", d, d, gain=1.4)
    yield from linear("context_embedder", d, joint)
    for i in range(t.layers):
        block, last, dual = f"transformer_blocks.{i}", i == t.layers - 1, i in t.dual
        yield from modulation(f"{block}.norm1.linear", 9 if dual else 6, d)
        yield from modulation(f"{block}.norm1_context.linear", 2 if last else 6, d)
        for attention in ("attn", "attn2") if dual else ("attn",):
            yield from norm(f"{block}.{attention}.norm_q", HEAD, bias=False)
            yield from norm(f"{block}.{attention}.norm_k", HEAD, bias=False)
            for projection in ("to_q", "to_k", "to_v", "to_out.0"):
                yield from linear(f"{block}.{attention}.{projection}", d, d)
        for projection in ("add_q_proj", "add_k_proj", "add_v_proj", *(() if last else ("to_add_out",))):
            yield from linear(f"{block}.attn.{projection}", d, d)
        yield from norm(f"{block}.attn.norm_added_q", HEAD, bias=False)
        yield from norm(f"{block}.attn.norm_added_k", HEAD, bias=False)
        for feed_forward in ("ff",) if last else ("ff", "ff_context"):
            yield from linear(f"{block}.{feed_forward}.net.0.proj", 4 * d, d)
            yield from linear(f"{block}.{feed_forward}.net.2", d, 4 * d, gain=1.5)
    yield from modulation("norm_out.linear", 2, d)
    yield from linear("proj_out", 64, d)


# --- the original single file -------------------------------------------------------------------------------------

TRANSFORMER_ROWS = (
    ("pos_embed.pos_embed", "pos_embed"),
    ("pos_embed.proj.", "x_embedder.proj."),
    ("time_text_embed.timestep_embedder.linear_1.", "t_embedder.mlp.0."),
    ("time_text_embed.timestep_embedder.linear_2.", "t_embedder.mlp.2."),
    ("time_text_embed.text_embedder.linear_1.", "y_embedder.mlp.0."),
    ("time_text_embed.text_embedder.linear_2.", "y_embedder.mlp.2."),
    ("norm_out.linear.", "final_layer.adaLN_modulation.1."),
    ("proj_out.", "final_layer.linear."),
    ("transformer_blocks.", "joint_blocks."),
    (".norm1.linear.", ".x_block.adaLN_modulation.1."),
    (".norm1_context.linear.", ".context_block.adaLN_modulation.1."),
    (".attn.to_q.", ".x_block.attn.qkv."),
    (".attn.to_out.0.", ".x_block.attn.proj."),
    (".attn.norm_q.", ".x_block.attn.ln_q."),
    (".attn.norm_k.", ".x_block.attn.ln_k."),
    (".attn2.to_q.", ".x_block.attn2.qkv."),
    (".attn2.to_out.0.", ".x_block.attn2.proj."),
    (".attn2.norm_q.", ".x_block.attn2.ln_q."),
    (".attn2.norm_k.", ".x_block.attn2.ln_k."),
    (".attn.add_q_proj.", ".context_block.attn.qkv."),
    (".attn.to_add_out.", ".context_block.attn.proj."),
    (".attn.norm_added_q.", ".context_block.attn.ln_q."),
    (".attn.norm_added_k.", ".context_block.attn.ln_k."),
    (".ff.net.0.proj.", ".x_block.mlp.fc1."),
    (".ff.net.2.", ".x_block.mlp.fc2."),
    (".ff_context.net.0.proj.", ".context_block.mlp.fc1."),
    (".ff_context.net.2.", ".context_block.mlp.fc2."),
)
VAE_ROWS = (
    (".mid_block.resnets.0.", ".mid.block_1."),
    (".mid_block.resnets.1.", ".mid.block_2."),
    (".mid_block.attentions.0.group_norm.", ".mid.attn_1.norm."),
    (".mid_block.attentions.0.to_q.", ".mid.attn_1.q."),
    (".mid_block.attentions.0.to_k.", ".mid.attn_1.k."),
    (".mid_block.attentions.0.to_v.", ".mid.attn_1.v."),
    (".mid_block.attentions.0.to_out.0.", ".mid.attn_1.proj_out."),
    (".conv_norm_out.", ".norm_out."),
    (".conv_shortcut.", ".nin_shortcut."),
    (".downsamplers.0.conv.", ".downsample.conv."),
    (".upsamplers.0.conv.", ".upsample.conv."),
    (".resnets.", ".block."),
    ("encoder.down_blocks.", "encoder.down."),
)


def renamed(name, rows):
    for ours, original in rows:
        name = name.replace(ours, original)
    return name


def original_transformer_entries(tensors, layers):
    by_name = {t.name: t for t in tensors}
    # The original keeps (shift, scale) where diffusers has (scale, shift).
    swapped = ("norm_out.linear.", f"transformer_blocks.{layers - 1}.norm1_context.linear.")
    for t in by_name.values():
        siblings = {".to_q.": (".to_k.", ".to_v."), ".add_q_proj.": (".add_k_proj.", ".add_v_proj.")}
        if any(f".{s}." in t.name for s in ("to_k", "to_v", "add_k_proj", "add_v_proj")):
            continue  # stored below its query
        parts = [t]
        for query, others in siblings.items():
            if query in t.name:
                parts += [by_name[t.name.replace(query, other)] for other in others]
        shape = (len(parts) * t.shape[0], *t.shape[1:])
        name = "model.diffusion_model." + renamed(t.name, TRANSFORMER_ROWS)
        yield Entry(name, shape, parts, swap_halves=t.name.startswith(swapped))


def original_vae_entries(tensors, levels):
    for t in tensors:
        name = renamed(t.name, VAE_ROWS)
        for i in range(levels):
            name = name.replace(f"decoder.up_blocks.{i}.", f"decoder.up.{levels - 1 - i}.")
        # Attention was written as 1×1 convolutions.
        convolution = ".mid.attn_1." in name and len(t.shape) == 2
        yield Entry("first_stage_model." + name, (*t.shape, 1, 1) if convolution else t.shape, [t])


def original_text_entries(clip_l, clip_g, t5):
    for name, tensors in (("clip_l", clip_l), ("clip_g", clip_g), ("t5xxl", t5)):
        for t in tensors:
            # Single files carry no projection for CLIP-L: it is the identity.
            if not (name == "clip_l" and t.name == "text_projection.weight"):
                yield Entry(f"text_encoders.{name}.transformer.{t.name}", t.shape, [t])


# --- values and files ---------------------------------------------------------------------------------------------

@functools.cache
def normal_quantiles():
    distribution = statistics.NormalDist()
    return numpy.array([distribution.inv_cdf((i + 0.5) / 65536) for i in range(65536)], numpy.float32)


def draw(tensor, seed, heavy_tailed):
    """Yields the tensor's values in chunks of f16. Sixteen random bits choose a quantile of the normal distribution."""
    if tensor.identity:
        yield numpy.eye(tensor.shape[0], dtype=numpy.float16).ravel()
        return
    # The shape tells CLIP-L from CLIP-G, whose names are the same.
    generator = numpy.random.SFC64([seed, zlib.crc32(f"{tensor.name}{tensor.shape}".encode())])
    table = (tensor.mean + tensor.std * normal_quantiles()).astype(numpy.float16)
    count = math.prod(tensor.shape)
    width = math.prod(tensor.shape[1:])
    heavy_rows = ()
    if heavy_tailed and len(tensor.shape) > 1 and tensor.shape[0] >= 64:
        heavy_rows = generator.random_raw(max(1, tensor.shape[0] // 256)) % tensor.shape[0]
    for start in range(0, count, CHUNK):
        size = min(CHUNK, count - start)
        values = table[generator.random_raw((size + 3) // 4).view(numpy.uint16)[:size]]
        for row in heavy_rows:
            begin, end = (min(max(int(r) * width - start, 0), size) for r in (row, row + 1))
            values[begin:end] *= numpy.float16(8)
        yield values


def write_safetensors(path, entries, options, pool):
    """Header first, then every tensor at its place, `options.threads` at a time."""
    header, end = {"__metadata__": {"format": "pt"}}, 0
    for entry in entries:
        header[entry.name] = {"dtype": "F16", "shape": entry.shape, "data_offsets": [end, end + entry.bytes]}
        end += entry.bytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)

    def write_entry(entry):
        offset = 8 + len(text) + header[entry.name]["data_offsets"][0]
        for part in entry.parts:
            chunks = draw(part, options.seed, options.heavy_tailed)
            if entry.swap_halves:
                chunks = [numpy.roll(numpy.concatenate(list(chunks)), math.prod(part.shape) // 2)]
            for chunk in chunks:
                offset += os.pwrite(file.fileno(), chunk, offset)

    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end)
        file.flush()
        list(pool.map(write_entry, entries))
    print(f"{path}  {path.stat().st_size / 1e9:.2f} GB", file=sys.stderr)


def write_weights(folder, stem, tensors, shard_bytes, options, pool):
    """One file, or shards of at most shard_bytes with their index, as save_pretrained lays them out."""
    shards, filled = [[]], 0
    for entry in (Entry(t.name, t.shape, [t]) for t in tensors):
        if filled and filled + entry.bytes > shard_bytes:
            shards.append([])
            filled = 0
        shards[-1].append(entry)
        filled += entry.bytes
    if len(shards) == 1:
        write_safetensors(folder / f"{stem}.safetensors", shards[0], options, pool)
        return
    weight_map = {}
    for i, entries in enumerate(shards, 1):
        file = f"{stem}-{i:05}-of-{len(shards):05}.safetensors"
        write_safetensors(folder / file, entries, options, pool)
        weight_map |= {entry.name: file for entry in entries}
    total = sum(entry.bytes for entries in shards for entry in entries)
    write_json(
        folder / f"{stem}.safetensors.index.json", {"metadata": {"total_size": total}, "weight_map": weight_map}
    )


def write_json(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2) + "\n")


# --- configs and tokenizers ---------------------------------------------------------------------------------------

def clip_config(clip, vocab):
    return {
        "architectures": ["CLIPTextModelWithProjection"], "model_type": "clip_text_model",
        "hidden_size": clip.width, "intermediate_size": clip.inner, "num_hidden_layers": clip.layers,
        "num_attention_heads": clip.width // HEAD, "hidden_act": clip.activation, "projection_dim": clip.width,
        "layer_norm_eps": 1e-05, "max_position_embeddings": 77, "vocab_size": vocab,
        "bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1, "attention_dropout": 0.0, "dropout": 0.0,
        "initializer_factor": 1.0, "initializer_range": 0.02, "torch_dtype": "float16",
    }


def t5_config(t5, vocab):
    return {
        "architectures": ["T5EncoderModel"], "model_type": "t5", "d_model": t5.width, "d_ff": t5.inner, "d_kv": HEAD,
        "num_heads": t5.heads, "num_layers": t5.layers, "num_decoder_layers": t5.layers, "vocab_size": vocab,
        "feed_forward_proj": "gated-gelu", "dense_act_fn": "gelu_new", "is_gated_act": True,
        "relative_attention_num_buckets": 32, "relative_attention_max_distance": 128, "layer_norm_epsilon": 1e-06,
        "pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0, "tie_word_embeddings": False,
        "is_encoder_decoder": True, "use_cache": True, "output_past": True, "dropout_rate": 0.1,
        "classifier_dropout": 0.0, "initializer_factor": 1.0, "torch_dtype": "float16",
    }


def transformer_config(t, joint, pooled):
    config = {
        "_class_name": "SD3Transformer2DModel", "sample_size": t.sample, "patch_size": 2, "in_channels": 16,
        "out_channels": 16, "num_layers": t.layers, "num_attention_heads": t.heads, "attention_head_dim": HEAD,
        "caption_projection_dim": t.heads * HEAD, "joint_attention_dim": joint, "pooled_projection_dim": pooled,
        "pos_embed_max_size": t.positions, "qk_norm": "rms_norm",
    }
    return config | ({"dual_attention_layers": list(t.dual)} if t.dual else {})


def vae_config(vae, sample):
    levels = len(vae.channels)
    return {
        "_class_name": "AutoencoderKL", "act_fn": "silu", "in_channels": 3, "out_channels": 3, "latent_channels": 16,
        "block_out_channels": vae.channels, "layers_per_block": vae.layers, "norm_num_groups": vae.groups,
        "down_block_types": ["DownEncoderBlock2D"] * levels, "up_block_types": ["UpDecoderBlock2D"] * levels,
        "sample_size": 8 * sample, "scaling_factor": 1.5305, "shift_factor": 0.0609, "force_upcast": True,
        "use_quant_conv": False, "use_post_quant_conv": False, "latents_mean": None, "latents_std": None,
    }


SCHEDULER_CONFIG = {
    "_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000, "shift": 3.0,
}


def model_index(with_t5):
    absent = [None, None]
    return {
        "_class_name": "StableDiffusion3Pipeline",
        "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
        "text_encoder": ["transformers", "CLIPTextModelWithProjection"],
        "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"],
        "text_encoder_3": ["transformers", "T5EncoderModel"] if with_t5 else absent,
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "tokenizer_2": ["transformers", "CLIPTokenizer"],
        "tokenizer_3": ["transformers", "T5TokenizerFast"] if with_t5 else absent,
        "transformer": ["diffusers", "SD3Transformer2DModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }


class Tokenizers:
    """Tokenizer files to copy: a folder with clip/ and t5/ (bare vocabularies), or another diffusers folder."""

    def __init__(self, folder):
        self.bare = (folder / "clip").is_dir()
        names = ("clip", "clip", "t5") if self.bare else ("tokenizer", "tokenizer_2", "tokenizer_3")
        self.folders = dict(zip(("tokenizer", "tokenizer_2", "tokenizer_3"), (folder / name for name in names)))
        try:
            self.clip_vocab = json.loads((self.folders["tokenizer"] / "vocab.json").read_text())
            t5 = json.loads((self.folders["tokenizer_3"] / "tokenizer.json").read_text())
        except OSError as error:
            sys.exit(f"{error.filename}: {error.strerror}; name a folder of tokenizers with --tokenizers")
        self.t5_pieces = len(t5["model"]["vocab"])

    def write(self, out, with_t5):
        for part, source in self.folders.items():
            if part == "tokenizer_3" and not with_t5:
                continue
            (out / part).mkdir(parents=True, exist_ok=True)
            for file in source.iterdir():
                shutil.copyfile(file, out / part / file.name)
        if self.bare:
            self.write_clip_configs(out / "tokenizer", "<|endoftext|>")
            self.write_clip_configs(out / "tokenizer_2", "!")
            if with_t5:
                special = {"eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
                write_json(out / "tokenizer_3" / "special_tokens_map.json", special)
                # Without add_prefix_space, which would make transformers ask for a spiece.model.
                config = {"tokenizer_class": "T5Tokenizer", "model_max_length": 512, "extra_ids": 100, "legacy": True}
                write_json(out / "tokenizer_3" / "tokenizer_config.json", config | special)

    def write_clip_configs(self, folder, pad):
        start, end = "<|startoftext|>", "<|endoftext|>"
        special = {"bos_token": start, "eos_token": end, "pad_token": pad, "unk_token": end}
        flags = {"lstrip": False, "rstrip": False, "single_word": False, "special": True}
        added = {
            str(i): {"content": content, "normalized": content == start, **flags}
            for i, content in sorted((self.clip_vocab[content], content) for content in {pad, start, end})
        }
        write_json(folder / "special_tokens_map.json", special)
        write_json(
            folder / "tokenizer_config.json",
            {
                "tokenizer_class": "CLIPTokenizer", "model_max_length": 77, "do_lower_case": True, "errors": "replace",
                "add_prefix_space": False, "added_tokens_decoder": added, **special,
            },
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="diffusers folder to write")
    parser.add_argument("--single-file", type=Path, help="original single file to write (transformer and VAE)")
    parser.add_argument("--single-file-text", action="store_true", help="text encoders inside the single file too")
    parser.add_argument("--size", choices=SIZES, default="medium")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--heavy-tailed", action="store_true", help="one output channel in 256 eight times larger")
    parser.add_argument("--without-t5", action="store_true")
    parser.add_argument(
        "--tokenizers", type=Path,
        help="folder with clip/ and t5/, or a diffusers folder (default: $FUDE_TOKENIZER_DATA, else "
        "../shared/data/tokenizers; for tiny those of the test fixtures)",
    )
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count()))
    options = parser.parse_args()
    if not options.out and not options.single_file:
        parser.error("nothing to write: give --out, --single-file or both")

    size = SIZES[options.size]
    if not options.tokenizers:
        data = os.environ.get("FUDE_TOKENIZER_DATA", REPOSITORY.parent / "shared" / "data" / "tokenizers")
        options.tokenizers = REPOSITORY / "tests/fixtures/dual" if options.size == "tiny" else Path(data)
    tokenizers = Tokenizers(options.tokenizers)
    vocab = len(tokenizers.clip_vocab)
    t5_vocab = tokenizers.t5_pieces + 28  # the real embedding has 32128 rows for 32100 ids
    pooled = size.clip_l.width + size.clip_g.width

    clip_l = list(clip_tensors(size.clip_l, vocab, identity_projection=True))
    clip_g = list(clip_tensors(size.clip_g, vocab, identity_projection=False))
    t5 = [] if options.without_t5 else list(t5_tensors(size.t5, t5_vocab))
    vae = list(vae_tensors(size.vae))
    transformer = list(transformer_tensors(size.transformer, size.t5.width, pooled))

    with concurrent.futures.ThreadPoolExecutor(options.threads) as pool:
        if options.out:
            out = options.out
            tokenizers.write(out, with_t5=bool(t5))
            write_json(out / "text_encoder" / "config.json", clip_config(size.clip_l, vocab))
            write_weights(out / "text_encoder", "model", clip_l, 5e9, options, pool)
            write_json(out / "text_encoder_2" / "config.json", clip_config(size.clip_g, vocab))
            write_weights(out / "text_encoder_2", "model", clip_g, 5e9, options, pool)
            if t5:
                write_json(out / "text_encoder_3" / "config.json", t5_config(size.t5, t5_vocab))
                write_weights(out / "text_encoder_3", "model", t5, 5e9, options, pool)
            config = transformer_config(size.transformer, size.t5.width, pooled)
            write_json(out / "transformer" / "config.json", config)
            write_weights(out / "transformer", "diffusion_pytorch_model", transformer, 10e9, options, pool)
            write_json(out / "vae" / "config.json", vae_config(size.vae, size.transformer.sample))
            write_weights(out / "vae", "diffusion_pytorch_model", vae, 10e9, options, pool)
            write_json(out / "scheduler" / "scheduler_config.json", SCHEDULER_CONFIG)
            write_json(out / "model_index.json", model_index(with_t5=bool(t5)))
        if options.single_file:
            entries = [*original_transformer_entries(transformer, size.transformer.layers),
                       *original_vae_entries(vae, len(size.vae.channels))]
            if options.single_file_text:
                entries += original_text_entries(clip_l, clip_g, t5)
            write_safetensors(options.single_file, entries, options, pool)


if __name__ == "__main__":
    main()
