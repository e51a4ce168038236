"""Draws held-out captions with diffusers and with fude in f32, from the same files and seeds, and compares the 8-bit pictures."""

import argparse
import json
import subprocess
import tempfile

import numpy as np
import torch
from diffusers import StableDiffusion3Pipeline
from PIL import Image

from scenes import held_out_scenes


def draw_with_fude(args, caption, seed, folder):
    command = [args.fude, "generate", "--model", args.model, "--prompt", caption, "--seed", str(seed), "--steps", str(args.steps),
               "--guidance", str(args.guidance), "--dtype", "f32", "--out", folder, "--json", "--quiet"]
    return np.asarray(Image.open(json.loads(subprocess.check_output(command))["images"][0]["path"])).astype(int)


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="../../models/demo")
    parser.add_argument("--fude", default="../../build/release/fude")
    parser.add_argument("--pictures", type=int, default=20)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--guidance", type=float, default=5.0)
    args = parser.parse_args()
    pipe = StableDiffusion3Pipeline.from_pretrained(args.model, torch_dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    worst_share, largest = 1.0, 0
    with tempfile.TemporaryDirectory() as folder:
        for seed, scene in enumerate(held_out_scenes(args.pictures)):
            caption = scene.captions[0]
            theirs = pipe(caption, num_inference_steps=args.steps, guidance_scale=args.guidance,
                          generator=torch.Generator().manual_seed(seed), output_type="np").images[0]
            difference = np.abs(draw_with_fude(args, caption, seed, folder) - np.rint(theirs * 255).astype(int))
            share = (difference == 0).mean()
            worst_share, largest = min(worst_share, share), max(largest, difference.max())
            within = (difference <= 1).mean()
            print(f"{100 * share:.4f} % equal, {100 * within:.4f} % within 1, largest {difference.max()}: {caption}", flush=True)
    print(f"{args.pictures} pictures: at least {100 * worst_share:.4f} % of values equal, largest difference {largest}")


if __name__ == "__main__":
    main()
