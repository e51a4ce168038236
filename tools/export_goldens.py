#!/usr/bin/env python3
"""Writes the tiny test pipelines of tests/fixtures and the goldens of every stage, drawn by diffusers.

Each fixture is a diffusers folder with random weights, a request.json, and goldens.safetensors. diffusers reads the
very files that are stored, upcasts them to f32 and draws; what passes through it is recorded. Every part of the
weights is non-trivial (norms, biases, modulation, a few channels eight times larger than the rest), so that a swapped
scale and shift or a missing bias shows in the goldens.
"""

import argparse
import dataclasses
import hashlib
import json
import math
import shutil
import zlib
from pathlib import Path

import accelerate
import diffusers
import numpy
import sentencepiece
import tokenizers
import torch
import transformers
from diffusers import (
    AutoencoderKL,
    FlowMatchEulerDiscreteScheduler,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
)
from safetensors.torch import save_file
from transformers import (
    CLIPTextConfig,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    T5Config,
    T5EncoderModel,
    T5TokenizerFast,
)

import tiny_tokenizers

FIXTURES = Path(__file__).resolve().parent.parent / "tests" / "fixtures"
F16, BF16, F32 = torch.float16, torch.bfloat16, torch.float32
NOISE = {"torch-cpu": F32, "torch-cpu-f16": F16, "torch-cpu-bf16": BF16}
TEXT_PARTS = ("tokenizer", "tokenizer_2", "text_encoder", "text_encoder_2", "tokenizer_3", "text_encoder_3")


@dataclasses.dataclass
class Fixture:
    prompt: str
    negative: str
    width: int
    height: int
    steps: int
    guidance: float
    seed: int
    transformer: dict
    count: int = 1
    transformer_dtype: torch.dtype = F16
    shard_size: str = "10GB"
    t5: bool = True
    # Without one of its own, a fixture links to that of `plain`.
    vae: dict | None = None
    # Latents of a side of the tiles that picture 0 is decoded in besides.
    tile: int | None = None
    # Large goldens that another fixture already covers.
    leave_out: tuple = ()


# `dual` owns the text encoders and tokenizers; the others reach them through symbolic links, or the fixtures would
# outgrow what a repository should carry. CLIP-L and CLIP-G together are narrower than T5, so that the pipeline pads
# them with zeros as it does for real.
TEXT_OWNER, VAE_OWNER = "dual", "plain"
CLIP_L = dict(hidden_size=64, intermediate_size=96)
CLIP_G = dict(hidden_size=128, intermediate_size=64)
T5 = dict(d_model=200, d_kv=32, num_heads=2, d_ff=48)
CLIP_MERGES, T5_PIECES = 300, 256

ENCODER_STAGES = ("clip_l.embed", "clip_l.hidden", "clip_g.embed", "clip_g.hidden", "t5.hidden")
VAE_STAGES = ("vae.mid", "vae.up.0", "vae.up.1", "vae.up.2", "vae.up.3")

FIXTURE_TABLE = {
    "dual": Fixture(
        prompt="A bright park scene with a boy and a girl sitting on a bench! A cute puppy sits between them.",
        negative="",
        width=64, height=64, steps=4, guidance=7.0, seed=2,
        transformer=dict(
            num_layers=2, num_attention_heads=1, attention_head_dim=64, pos_embed_max_size=12,
            dual_attention_layers=[0],
        ),
        vae=dict(block_out_channels=[8, 16, 16, 16], layers_per_block=1, norm_num_groups=2),
        leave_out=("vae.up.2",),
    ),
    "plain": Fixture(
        prompt="an old wooden boat on a quiet lake at sunrise",
        negative="blurry, low quality",
        width=64, height=32, steps=3, guidance=1.0, seed=42,
        transformer=dict(num_layers=2, num_attention_heads=5, attention_head_dim=8, pos_embed_max_size=8),
        vae=dict(block_out_channels=[8, 16, 16, 16], layers_per_block=2, norm_num_groups=4),
        leave_out=(*ENCODER_STAGES, "vae.up.2"),
    ),
    "no_t5": Fixture(
        prompt="the little red house",
        negative="",
        width=32, height=32, steps=2, guidance=0.5, seed=7,
        transformer=dict(
            num_layers=2, num_attention_heads=2, attention_head_dim=8, pos_embed_max_size=6,
            dual_attention_layers=[0],
        ),
        transformer_dtype=F32,
        t5=False,
        leave_out=ENCODER_STAGES + VAE_STAGES,
    ),
    "odd": Fixture(
        prompt="Ένα σπίτι, маленький ДОМ у реки, 公園のベンチ、 ｆｕｌｌ ﬁsh 🚀 café's!!  été",
        negative="watermark, text; extra   fingers",
        width=80, height=48, steps=3, guidance=4.5, seed=1234, count=2,
        transformer=dict(num_layers=2, num_attention_heads=2, attention_head_dim=32, pos_embed_max_size=8),
        tile=4,
        leave_out=(*ENCODER_STAGES, "mmdit.context", "vae.up.2", "vae.up.3"),
    ),
    "turbo": Fixture(
        prompt="a city street at night, neon lights",
        negative="",
        width=48, height=48, steps=4, guidance=0.0, seed=0,
        transformer=dict(num_layers=3, num_attention_heads=2, attention_head_dim=16, pos_embed_max_size=7),
        transformer_dtype=BF16,
        shard_size="120KB",
        leave_out=(*ENCODER_STAGES, *VAE_STAGES, "mmdit.context"),
    ),
}


def generator_for(name):
    return torch.Generator().manual_seed(zlib.crc32(name.encode()))


def fill(model, seed_name, gain_of):
    """Draws every parameter by its role, from a generator of its own, so that adding one moves no other."""
    tensors = dict(model.named_parameters())
    if isinstance(model, SD3Transformer2DModel):
        tensors["pos_embed.pos_embed"] = model.pos_embed.pos_embed
    with torch.no_grad():
        for name, tensor in tensors.items():
            generator = generator_for(f"{seed_name}/{name}")
            tensor.copy_(draw(name, tensor.shape, gain_of, generator))


def draw(name, shape, gain_of, generator):
    normal = torch.randn(shape, generator=generator)
    modulation = ".linear." in name and "norm" in name
    if name.endswith("bias"):
        return normal * (0.4 if modulation or ".attn" in name else 0.15)
    if len(shape) == 1:
        # Sharper attention than the mean over 333 text tokens, through which little would show.
        scale = 1.5 if ".norm_q." in name or ".norm_k." in name or ".norm_added" in name else 1
        return scale + 0.3 * scale * (2 * torch.rand(shape, generator=generator) - 1)
    if "embedding.weight" in name or "shared" in name or "relative_attention_bias" in name:
        return normal * 0.7
    if name == "pos_embed.pos_embed":
        return normal * 0.5
    weight = normal * gain_of(name) / math.sqrt(math.prod(shape[1:]))
    if not modulation and shape[0] > 4:
        heavy = torch.randperm(shape[0], generator=generator)[: max(1, shape[0] // 48)]
        weight[heavy] *= 8
    return weight


def clip_gain(name):
    return 0.6


def t5_gain(name):
    # T5 does not scale its scores, so small queries keep the softmax from choosing one token.
    return 0.15 if name.endswith("SelfAttention.q.weight") else 0.7


def transformer_gain(name):
    if ".linear." in name and "norm" in name:
        return 0.5
    return 1.6 if ".to_out." in name or ".to_add_out." in name else 0.8


def vae_gain(name):
    return 0.45 if name == "decoder.conv_out.weight" else 0.9


def make_clip(geometry, activation, vocab_size):
    hidden = geometry["hidden_size"]
    # eos_token_id 2 is what the real configs say: it selects the pooling at the largest id.
    return CLIPTextModelWithProjection(
        CLIPTextConfig(
            vocab_size=vocab_size, hidden_size=hidden, intermediate_size=geometry["intermediate_size"],
            num_hidden_layers=2, num_attention_heads=hidden // 64, max_position_embeddings=77, projection_dim=hidden,
            hidden_act=activation, layer_norm_eps=1e-5, bos_token_id=0, eos_token_id=2, pad_token_id=1,
        )
    )


def make_t5(vocab_size):
    return T5EncoderModel(
        T5Config(
            vocab_size=vocab_size, num_layers=2, feed_forward_proj="gated-gelu", tie_word_embeddings=False,
            is_encoder_decoder=False, use_cache=False, **T5,
        )
    )


def write_text_encoders(folder, name):
    merges = tiny_tokenizers.train_clip_merges(CLIP_MERGES)
    vocab = tiny_tokenizers.write_clip_tokenizer(folder / "tokenizer", merges, tiny_tokenizers.END)
    tiny_tokenizers.write_clip_tokenizer(folder / "tokenizer_2", merges, "!")
    serialized = tiny_tokenizers.train_sentencepiece(T5_PIECES)
    pieces = tiny_tokenizers.write_t5_tokenizer(folder / "tokenizer_3", serialized)
    # As in the real model, the embedding has more rows than the tokenizer has ids.
    t5_rows = pieces + 28
    for part, model, gain, dtype in (
        ("text_encoder", make_clip(CLIP_L, "quick_gelu", len(vocab)), clip_gain, F16),
        ("text_encoder_2", make_clip(CLIP_G, "gelu", len(vocab)), clip_gain, F16),
        ("text_encoder_3", make_t5(t5_rows), t5_gain, BF16),
    ):
        fill(model, f"{name}/{part}", gain)
        save_model(model, folder / part, dtype)


def save_model(model, folder, dtype, **options):
    model.to(dtype).save_pretrained(folder, **options)
    # The version that wrote a config is noise in a diff; versions.json records it once.
    path = folder / "config.json"
    config = json.loads(path.read_text())
    for key in ("transformers_version", "_diffusers_version", "_name_or_path"):
        config.pop(key, None)
    tiny_tokenizers.write_json(path, config)


def write_pipeline(folder, name, fixture):
    if name == TEXT_OWNER:
        write_text_encoders(folder, name)
    else:
        for part in TEXT_PARTS if fixture.t5 else TEXT_PARTS[:4]:
            (folder / part).symlink_to(Path("..", TEXT_OWNER, part))
    if fixture.vae:
        vae = AutoencoderKL(
            in_channels=3, out_channels=3, latent_channels=16, sample_size=64, scaling_factor=1.5305,
            shift_factor=0.0609, use_quant_conv=False, use_post_quant_conv=False,
            down_block_types=["DownEncoderBlock2D"] * 4, up_block_types=["UpDecoderBlock2D"] * 4, **fixture.vae,
        )
        fill(vae, f"{name}/vae", vae_gain)
        save_model(vae, folder / "vae", F16)
    else:
        (folder / "vae").symlink_to(Path("..", VAE_OWNER, "vae"))

    heads = fixture.transformer["num_attention_heads"]
    transformer = SD3Transformer2DModel(
        sample_size=8, patch_size=2, in_channels=16, out_channels=16, qk_norm="rms_norm",
        joint_attention_dim=T5["d_model"], pooled_projection_dim=CLIP_L["hidden_size"] + CLIP_G["hidden_size"],
        caption_projection_dim=heads * fixture.transformer["attention_head_dim"],
        **fixture.transformer,
    )
    fill(transformer, f"{name}/transformer", transformer_gain)
    save_model(transformer, folder / "transformer", fixture.transformer_dtype, max_shard_size=fixture.shard_size)

    FlowMatchEulerDiscreteScheduler(num_train_timesteps=1000, shift=3.0).save_pretrained(folder / "scheduler")
    clip, t5 = ["transformers", "CLIPTextModelWithProjection"], ["transformers", "T5EncoderModel"]
    tiny_tokenizers.write_json(
        folder / "model_index.json",
        {
            "_class_name": "StableDiffusion3Pipeline",
            "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
            "text_encoder": clip,
            "text_encoder_2": clip,
            "text_encoder_3": t5 if fixture.t5 else [None, None],
            "tokenizer": ["transformers", "CLIPTokenizer"],
            "tokenizer_2": ["transformers", "CLIPTokenizer"],
            "tokenizer_3": ["transformers", "T5TokenizerFast"] if fixture.t5 else [None, None],
            "transformer": ["diffusers", "SD3Transformer2DModel"],
            "vae": ["diffusers", "AutoencoderKL"],
        },
    )
    request = {key: getattr(fixture, key)
               for key in ("prompt", "negative", "width", "height", "steps", "guidance", "seed", "count")}
    tiny_tokenizers.write_json(folder / "request.json", request)


def load_pipeline(folder, fixture):
    # diffusers wants to be told about a missing T5, although the index says so.
    absent = {} if fixture.t5 else {"text_encoder_3": None, "tokenizer_3": None}
    pipe = StableDiffusion3Pipeline.from_pretrained(folder, torch_dtype=F32, **absent)
    pipe.set_progress_bar_config(disable=True)
    assert type(pipe.tokenizer) is CLIPTokenizer
    assert pipe.tokenizer_3 is None or type(pipe.tokenizer_3) is T5TokenizerFast
    return pipe


def encoder_goldens(pipe, texts):
    """Ids of every text, and the encoders' stages for the last one, which is the positive prompt."""
    goldens = {}
    for label, tokenizer, encoder in (
        ("clip_l", pipe.tokenizer, pipe.text_encoder),
        ("clip_g", pipe.tokenizer_2, pipe.text_encoder_2),
    ):
        ids = tokenizer(texts, padding="max_length", max_length=77, truncation=True, return_tensors="pt").input_ids
        out = encoder(ids[-1:], output_hidden_states=True)
        goldens[f"tokens.{label}"] = ids.int()
        goldens[f"{label}.embed"] = out.hidden_states[0]
        goldens[f"{label}.hidden"] = out.hidden_states[-2]
        goldens[f"{label}.pooled"] = out.text_embeds
    if pipe.text_encoder_3 is not None:
        ids = pipe.tokenizer_3(
            texts, padding="max_length", max_length=256, truncation=True, return_tensors="pt"
        ).input_ids
        goldens["tokens.t5"] = ids.int()
        goldens["t5.hidden"] = pipe.text_encoder_3(ids[-1:])[0]
    return goldens


class Recorder:
    """Keeps the first output of each hooked module, and every velocity and latent of the run."""

    def __init__(self, pipe):
        self.tensors = {}
        self.steps = 0
        transformer, decoder = pipe.transformer, pipe.vae.decoder
        self.keep_output(transformer.pos_embed, "mmdit.x_embed")
        self.keep_output(transformer.context_embedder, "mmdit.context", lambda out: out[-1:])
        self.keep_output(transformer.time_text_embed, "mmdit.temb")
        for k, block in enumerate(transformer.transformer_blocks):
            self.keep_output(block, f"mmdit.block.{k}.x", lambda out: out[1])
            if not block.context_pre_only:
                self.keep_output(block, f"mmdit.block.{k}.context", lambda out: out[0][-1:])
        self.keep_output(transformer, "mmdit.raw.000", lambda out: out[0])
        self.keep_output(decoder.mid_block, "vae.mid", lambda out: out[:1])
        for k, block in enumerate(decoder.up_blocks):
            self.keep_output(block, f"vae.up.{k}", lambda out: out[:1])
        self.keep_output(decoder, "decoded")
        self.keep_velocities(pipe.scheduler)

    def keep_output(self, module, name, pick=lambda out: out):
        def hook(_module, _inputs, out):
            if name not in self.tensors:
                self.tensors[name] = pick(out).clone()

        module.register_forward_hook(hook)

    def keep_velocities(self, scheduler):
        step = scheduler.step

        def recording_step(velocity, timestep, sample, **options):
            if self.steps == 0:
                self.tensors["noise"] = sample.clone()
            self.tensors[f"velocity.{self.steps:03}"] = velocity.clone()
            result = step(velocity, timestep, sample, **options)
            self.tensors[f"latents.{self.steps:03}"] = result[0].clone()
            self.steps += 1
            return result

        scheduler.step = recording_step


def decoded_in_tiles(vae, latents, side):
    """enable_vae_tiling, with smaller tiles than a model of this size would have."""
    vae.enable_tiling()
    vae.tile_latent_min_size = side
    vae.tile_sample_min_size = side * 2 ** (len(vae.config.block_out_channels) - 1)
    return vae.decode(latents / vae.config.scaling_factor + vae.config.shift_factor).sample


@torch.no_grad()
def draw_goldens(folder, fixture):
    pipe = load_pipeline(folder, fixture)
    guided = fixture.guidance > 1
    goldens = encoder_goldens(pipe, [fixture.negative, fixture.prompt] if guided else [fixture.prompt])

    prompt, negative, pooled, negative_pooled = pipe.encode_prompt(
        fixture.prompt, None, None, negative_prompt=fixture.negative, do_classifier_free_guidance=guided
    )
    goldens["embeddings"] = torch.cat([negative, prompt]) if guided else prompt
    goldens["pooled"] = torch.cat([negative_pooled, pooled]) if guided else pooled

    recorder = Recorder(pipe)
    # Picture i of a request has its own stream, as if it were asked for alone with seed + i.
    generators = [torch.Generator().manual_seed(fixture.seed + i) for i in range(fixture.count)]
    image = pipe(
        fixture.prompt, negative_prompt=fixture.negative, width=fixture.width, height=fixture.height,
        num_inference_steps=fixture.steps, guidance_scale=fixture.guidance, num_images_per_prompt=fixture.count,
        generator=generators, output_type="np",
    ).images
    goldens |= recorder.tensors
    if fixture.tile:
        goldens["decoded.tiles"] = decoded_in_tiles(pipe.vae, goldens[f"latents.{fixture.steps - 1:03}"][:1], fixture.tile)
    goldens["image"] = torch.from_numpy((image * 255).round().astype("uint8"))
    goldens["sigmas"] = pipe.scheduler.sigmas
    goldens["timesteps"] = pipe.scheduler.timesteps
    assert all(tensor.isfinite().all() for tensor in goldens.values())
    return {name: t.contiguous().clone() for name, t in goldens.items() if name not in fixture.leave_out}


def use_one_thread():
    """Sums in the same order each time."""
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)


def versions():
    modules = (torch, diffusers, transformers, tokenizers, sentencepiece, accelerate, numpy)
    return {module.__name__: module.__version__ for module in modules}


def noise_fingerprint(kind, seed, n):
    noise = torch.randn(n, generator=torch.Generator().manual_seed(seed), dtype=NOISE[kind])
    return hashlib.sha256(noise.view(torch.uint8).numpy().tobytes()).hexdigest()


def export_noise(path):
    """Renews the fingerprints of the kinds that this torch draws; an older torch's stay."""
    rows = json.loads(path.read_text())
    for row in rows:
        if row["noise"] in NOISE:
            row["sha256"] = noise_fingerprint(row["noise"], row["seed"], row["n"])
    path.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")


def describe(name, folder, goldens):
    size = sum(f.stat().st_size for f in folder.rglob("*") if f.is_file() and f.resolve() == f)
    image, velocity = goldens["image"].float(), goldens["velocity.000"]
    clipped = ((image == 0) | (image == 255)).float().mean()
    print(f"{name:6} {size / 2**10:6.0f} KiB  velocity std {velocity.std():.2f}  image mean {image.mean():.0f} "
          f"std {image.std():.0f} clipped {clipped:.1%}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=FIXTURES)
    parser.add_argument("--only", nargs="+", choices=FIXTURE_TABLE, default=list(FIXTURE_TABLE))
    options = parser.parse_args()
    use_one_thread()
    for name in options.only:
        folder = options.out / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        write_pipeline(folder, name, FIXTURE_TABLE[name])
    for name in options.only:
        folder = options.out / name
        goldens = draw_goldens(folder, FIXTURE_TABLE[name])
        save_file(goldens, folder / "goldens.safetensors")
        describe(name, folder, goldens)
    export_noise(options.out / "noise.json")
    tiny_tokenizers.write_json(options.out / "versions.json", versions())


if __name__ == "__main__":
    main()
