"""The second script of fude's author: one picture for each number of steps, and a line for each in prompt_log.txt. Its author printed it
without getPipeline, makeImageFile and log_prompt; those are completed here. Only the import is another than with diffusers.

    python steps.py [MODEL [STEPS …]]
"""

import datetime
import os
import sys

import torch
from fude import StableDiffusion3Pipeline  # was: from diffusers import StableDiffusion3Pipeline

MODEL = sys.argv[1] if len(sys.argv) > 1 else "stabilityai/stable-diffusion-3.5-medium"
STEPS = [int(each) for each in sys.argv[2:]] or [5, 10, 20, 30, 40, 50]
FOLDER = "outputs"


def getPipeline(path):
    pipe = StableDiffusion3Pipeline.from_pretrained(path, torch_dtype=torch.float16, low_cpu_mem_usage=True)
    pipe.to("cuda")
    pipe.enable_sequential_cpu_offload()
    pipe.enable_model_cpu_offload()
    pipe.enable_attention_slicing("max")
    return pipe


def makeImageFile(image, steps, seed):
    os.makedirs(FOLDER, exist_ok=True)
    file = os.path.join(FOLDER, f"{seed}-{steps:02}.png")
    image.save(file)
    return file


def log_prompt(file, prompt):
    with open("prompt_log.txt", "a", encoding="utf-8") as log:
        log.write(f"{datetime.datetime.now():%Y-%m-%d %H:%M:%S}\t{file}\t{prompt}\n")


prompt = "a bright park scene with a boy and a girl sitting on a bench, between them a cute puppy"
negative_prompt = "blurry"
seed = 2

pipe = getPipeline(MODEL)
for steps in STEPS:
    image = pipe(
        prompt=prompt,
        negative_prompt=negative_prompt,
        height=512,
        width=512,
        num_inference_steps=steps,
        guidance_scale=7.0,
        num_images_per_prompt=1,
        generator=torch.Generator().manual_seed(seed),
    ).images[0]
    log_prompt(makeImageFile(image, steps, seed), prompt)
