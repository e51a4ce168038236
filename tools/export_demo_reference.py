"""Draws the demo model's park scene with diffusers: the picture that tests/engine/demo_test.cpp compares with."""

import pathlib

import numpy as np
import torch
from diffusers import StableDiffusion3Pipeline
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parent.parent
PICTURE = ROOT / "tests" / "fixtures" / "demo" / "park.png"
PROMPT = "a bright park scene with a boy and a girl sitting on a bench, between them a cute puppy"


def draw():
    """[height, width, 3], 8 bits."""
    pipe = StableDiffusion3Pipeline.from_pretrained(ROOT / "models" / "demo", torch_dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    pixels = pipe(PROMPT, num_inference_steps=10, guidance_scale=5.0, generator=torch.Generator().manual_seed(2), output_type="np")
    return np.rint(pixels.images[0] * 255).astype(np.uint8)


def main():
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(draw()).save(PICTURE, optimize=True)


if __name__ == "__main__":
    main()
