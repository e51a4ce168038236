"""The first script of fude's author, as it was written for diffusers; only the import is another.

    python capybara.py [MODEL [FILE.png]]
"""

import sys

import torch
from fude import StableDiffusion3Pipeline  # was: from diffusers import StableDiffusion3Pipeline

model = sys.argv[1] if len(sys.argv) > 1 else "stabilityai/stable-diffusion-3.5-medium"

pipe = StableDiffusion3Pipeline.from_pretrained(model, torch_dtype=torch.bfloat16)
pipe = pipe.to("cuda")

image = pipe(
    "A capybara holding a sign that reads Hello World",
    num_inference_steps=40,
    guidance_scale=4.5,
).images[0]
image.save(sys.argv[2] if len(sys.argv) > 2 else "capybara.png")
