"""Draws the demo model's park scene with diffusers: the picture that tests/engine/demo_test.cpp compares with."""

import pathlib

import numpy as np
import torch
from diffusers import StableDiffusion3Pipeline
from PIL import Image

ROOT = pathlib.Path(__file__).parent.parent
PROMPT = "a bright park scene with a boy and a girl sitting on a bench, between them a cute puppy"


def main():
    pipe = StableDiffusion3Pipeline.from_pretrained(ROOT / "models" / "demo", torch_dtype=torch.float32)
    pixels = pipe(PROMPT, num_inference_steps=10, guidance_scale=5.0, generator=torch.Generator().manual_seed(2), output_type="np")
    folder = ROOT / "tests" / "fixtures" / "demo"
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.rint(pixels.images[0] * 255).astype(np.uint8)).save(folder / "park.png", optimize=True)


if __name__ == "__main__":
    main()
