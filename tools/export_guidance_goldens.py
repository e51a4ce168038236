#!/usr/bin/env python3
"""Writes tests/fixtures/guidance.safetensors: latents of each step of the request of the fixture `dual`, drawn by diffusers with
skip-layer guidance (StableDiffusion3Pipeline) and with guidance rescaled (rescale_noise_cfg of diffusers' guiders)."""

import json
from pathlib import Path

import torch
from diffusers import StableDiffusion3Pipeline
from diffusers.guiders.guider_utils import rescale_noise_cfg
from safetensors.torch import save_file

FOLDER = Path(__file__).resolve().parent.parent / "tests" / "fixtures" / "dual"
SKIP = dict(skip_guidance_layers=[1], skip_layer_guidance_scale=2.8, skip_layer_guidance_start=0.01, skip_layer_guidance_stop=0.7)
RESCALE = 0.7


@torch.no_grad()
def drawn(request, rescale=0.0, **options):
    """The latents after each step."""
    pipe = StableDiffusion3Pipeline.from_pretrained(FOLDER, torch_dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    latents, rows = [], []
    pipe.transformer.register_forward_hook(lambda _module, _inputs, out: rows.append(out[0]))
    step = pipe.scheduler.step

    def rescaled_step(velocity, timestep, sample, **given):
        both = next(out for out in reversed(rows) if len(out) == 2)
        if rescale:
            velocity = rescale_noise_cfg(velocity, both[1:], rescale)
        result = step(velocity, timestep, sample, **given)
        latents.append(result[0].clone())
        return result

    pipe.scheduler.step = rescaled_step
    pipe(
        request["prompt"], negative_prompt=request["negative"], width=request["width"], height=request["height"],
        num_inference_steps=request["steps"], guidance_scale=request["guidance"],
        generator=torch.Generator().manual_seed(request["seed"]), output_type="latent", **options,
    )
    return latents


def main():
    torch.set_num_threads(1)
    request = json.loads((FOLDER / "request.json").read_text())
    goldens = {}
    for name, latents in {
        "skip": drawn(request, **SKIP),
        "rescale": drawn(request, rescale=RESCALE),
        "both": drawn(request, rescale=RESCALE, **SKIP),
    }.items():
        goldens |= {f"{name}.{step:03}": x.contiguous() for step, x in enumerate(latents)}
    save_file(goldens, FOLDER.parent / "guidance.safetensors")


if __name__ == "__main__":
    main()
