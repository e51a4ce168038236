#!/usr/bin/env python3
"""Draws with diffusers from a checkpoint folder of any size and writes the trace that `fude generate --trace` writes.

On the CPU, T5 and the transformer hold one block at a time: its weights are read from the mapped file and cast when the
block runs, so that medium in f32 fits into 8 GB. On a card every component is loaded whole, one after the other. The
arithmetic is that of transformers and diffusers in the chosen dtype; products in f32 are not rounded to TF32.
"""

import argparse
import contextlib
import gc
import json
import resource
import sys
import time
from pathlib import Path

import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel, StableDiffusion3Pipeline
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch.overrides import TorchFunctionMode
from transformers import CLIPTextModelWithProjection, CLIPTokenizer, T5Config, T5EncoderModel, T5TokenizerFast

PRODUCTS = {torch.nn.functional.linear, torch.conv2d, torch.matmul}
DTYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}


class Checkpoint:
    """The tensors of a component's folder, one file or shards."""

    def __init__(self, folder):
        self.names = {}
        for path in sorted(folder.glob("*.safetensors")):
            with safe_open(path, "pt") as file:
                self.names[path] = list(file.keys())

    def load(self, module, prefix, dtype, skip=()):
        """Fills the module with the tensors under prefix; closing the files gives their pages back."""
        tensors = {}
        for path, names in self.names.items():
            with safe_open(path, "pt") as file:
                for name in names:
                    if name.startswith(prefix) and not name.startswith(skip):
                        # A copy even where the dtype is the stored one, since the mapping ends here.
                        tensors[name.removeprefix(prefix)] = file.get_tensor(name).to(dtype, copy=True)
        return module.load_state_dict(tensors, assign=True, strict=False)


def drop_weights(module, *_args):
    module.to("meta")


def stream_blocks(model, blocks, prefix, folder, dtype):
    """Loads a model that was built on the meta device; the blocks get their weights only while they run."""
    checkpoint = Checkpoint(folder)
    checkpoint.load(model, "", dtype, skip=prefix)

    for i, block in enumerate(blocks):
        def load(module, *_args, name=f"{prefix}{i}."):
            result = checkpoint.load(module, name, dtype)
            assert not result.missing_keys and not result.unexpected_keys, result

        block.register_forward_pre_hook(load)
        block.register_forward_hook(drop_weights)
    return model.eval()


def load_t5(folder, dtype, device):
    if device.type != "cpu":
        return T5EncoderModel.from_pretrained(folder, dtype=dtype).to(device).eval()
    with torch.device("meta"):
        model = T5EncoderModel(T5Config.from_pretrained(folder))
    stream_blocks(model, model.encoder.block, "encoder.block.", folder, dtype)
    model.encoder.embed_tokens.weight = model.shared.weight
    return model


def load_clip(folder, dtype, device):
    return CLIPTextModelWithProjection.from_pretrained(folder, dtype=dtype).to(device)


def load_transformer(folder, dtype, device):
    if device.type != "cpu":
        return SD3Transformer2DModel.from_pretrained(folder, torch_dtype=dtype).to(device).eval()
    with torch.device("meta"):
        model = SD3Transformer2DModel.from_config(SD3Transformer2DModel.load_config(folder))
    return stream_blocks(model, model.transformer_blocks, "transformer_blocks.", folder, dtype)


class WideProducts(TorchFunctionMode):
    """Computes bf16 products in f32 and rounds once, as processors with bf16 instructions do.

    Without such instructions torch runs plain loops instead: a convolution takes 300 times as long as in f32.
    """

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function not in PRODUCTS or args[0].dtype != torch.bfloat16:
            return function(*args, **(kwargs or {}))
        wide = [arg.float() if isinstance(arg, torch.Tensor) else arg for arg in args]
        return function(*wide, **(kwargs or {})).bfloat16()


@contextlib.contextmanager
def timed(what):
    start = time.monotonic()
    yield
    gc.collect()
    torch.cuda.empty_cache()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{what}: {time.monotonic() - start:.1f} s, peak {peak:.1f} GiB", file=sys.stderr)


def make_pipeline(options, **parts):
    names = ("vae", "text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2", "text_encoder_3", "tokenizer_3",
             "transformer")
    scheduler = FlowMatchEulerDiscreteScheduler.from_pretrained(options.model / "scheduler")
    pipe = StableDiffusion3Pipeline(scheduler=scheduler, **{name: parts.get(name) for name in names})
    pipe.set_progress_bar_config(disable=True)
    return pipe


def encode(options, dtype):
    folder = options.model
    has_t5 = json.loads((folder / "model_index.json").read_text())["text_encoder_3"][0] is not None
    # Without T5 the pipeline asks the transformer for the width of the zeros that stand for it.
    third = (
        dict(text_encoder_3=load_t5(folder / "text_encoder_3", dtype, options.device),
             tokenizer_3=T5TokenizerFast.from_pretrained(folder / "tokenizer_3"))
        if has_t5 else dict(transformer=load_transformer(folder / "transformer", dtype, options.device))
    )
    pipe = make_pipeline(
        options,
        text_encoder=load_clip(folder / "text_encoder", dtype, options.device),
        text_encoder_2=load_clip(folder / "text_encoder_2", dtype, options.device),
        tokenizer=CLIPTokenizer.from_pretrained(folder / "tokenizer"),
        tokenizer_2=CLIPTokenizer.from_pretrained(folder / "tokenizer_2"),
        **third,
    )
    guided = options.guidance > 1
    prompt, negative, pooled, negative_pooled = pipe.encode_prompt(
        options.prompt, None, None, device=options.device, negative_prompt=options.negative,
        do_classifier_free_guidance=guided,
    )
    if not guided:
        return {"embeddings": prompt, "pooled": pooled}
    return {"embeddings": torch.cat([negative, prompt]), "pooled": torch.cat([negative_pooled, pooled])}


def denoise(options, dtype, text, noise):
    pipe = make_pipeline(options, transformer=load_transformer(options.model / "transformer", dtype, options.device))
    shape = (1, 16, options.height // 8, options.width // 8)
    if noise is None:
        noise = torch.randn(shape, generator=torch.Generator().manual_seed(options.seed), dtype=dtype)
    noise = noise.to(options.device)
    trace = {"noise": noise}
    started = time.monotonic()

    def keep(_pipe, i, _timestep, tensors):
        trace[f"latents.{i:03}"] = tensors["latents"].clone()
        print(f"step {i + 1}/{options.steps}: {time.monotonic() - started:.1f} s", file=sys.stderr)
        return tensors

    rows = {"prompt_embeds": text["embeddings"][-1:], "pooled_prompt_embeds": text["pooled"][-1:]}
    if options.guidance > 1:
        rows |= {"negative_prompt_embeds": text["embeddings"][:1], "negative_pooled_prompt_embeds": text["pooled"][:1]}
    pipe(
        **rows, latents=noise, width=options.width, height=options.height, num_inference_steps=options.steps,
        guidance_scale=options.guidance, output_type="latent", callback_on_step_end=keep,
    )
    return trace


def decode(options, dtype, latents):
    vae = AutoencoderKL.from_pretrained(options.model / "vae", torch_dtype=dtype).to(options.device)
    pipe = make_pipeline(options, vae=vae)
    decoded = vae.decode(latents / vae.config.scaling_factor + vae.config.shift_factor, return_dict=False)[0]
    image = pipe.image_processor.postprocess(decoded, output_type="np")[0]
    return {"decoded": decoded, "image": torch.from_numpy((image * 255).round().astype("uint8"))}


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="diffusers folder")
    parser.add_argument("--out", type=Path, required=True, help="trace to write (.safetensors)")
    parser.add_argument("--prompt", default="")
    parser.add_argument("--negative", default="")
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--height", type=int, default=1024)
    parser.add_argument("--steps", type=int, default=28)
    parser.add_argument("--guidance", type=float, default=7.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dtype", choices=DTYPES, default="f32")
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"), help="cpu, cuda, cuda:1 …")
    parser.add_argument("--embeddings", type=Path, help="trace whose embeddings to use instead of encoding the prompt")
    parser.add_argument("--noise", type=Path, help="trace whose noise to use instead of drawing it from the seed")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    dtype = DTYPES[options.dtype]
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    on_card = options.device.type != "cpu"
    native = on_card or dtype != torch.bfloat16 or torch.ops.mkldnn._is_mkldnn_bf16_supported()
    with contextlib.nullcontext() if native else WideProducts():
        run(options, dtype)


def run(options, dtype):
    if options.embeddings:
        stored = load_file(options.embeddings)
        text = {name: stored[name].to(options.device, dtype) for name in ("embeddings", "pooled")}
    else:
        with timed("encode"):
            text = encode(options, dtype)
    noise = load_file(options.noise)["noise"].to(dtype) if options.noise else None
    with timed("denoise"):
        trace = text | denoise(options, dtype, text, noise)
    with timed("decode"):
        trace |= decode(options, dtype, trace[f"latents.{options.steps - 1:03}"])
    trace = {name: t.cpu() for name, t in trace.items()}
    save_file({name: (t.float() if t.is_floating_point() else t).contiguous() for name, t in trace.items()}, options.out)


if __name__ == "__main__":
    main()
