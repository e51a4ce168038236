"""Calls of StableDiffusion3Pipeline that diffusers and fude both draw, of the demo model in f32. The exporter of goldens has them too."""

import numpy as np

SMALL = {"height": 64, "width": 64, "num_inference_steps": 4}
LATENTS = np.random.default_rng(5).standard_normal((1, 16, 8, 8)).astype(np.float32)

# Seeds stand for generators.
CALLS = {
    "plain": {"prompt": "a cat on a bench in the snow", "generator": 2, **SMALL},
    "other_size": {"prompt": "a dog on a beach", "generator": 3, "height": 96, "width": 48, "num_inference_steps": 3, "guidance_scale": 4.5},
    "without_guidance": {"prompt": "a red car", "negative_prompt": "a cat", "generator": 4, "guidance_scale": 1.0, **SMALL},
    "encoders": {"prompt": "a cat", "prompt_2": "a dog", "prompt_3": "a puppy on a bench", "negative_prompt": "snow", "negative_prompt_2": "rain",
                 "negative_prompt_3": "a car", "generator": 5, **SMALL},
    "clip_skip": {"prompt": "a cat on a bench", "negative_prompt": "snow", "clip_skip": 1, "generator": 6, **SMALL},
    "sequence": {"prompt": "a bright park scene with a boy and a girl sitting on a bench", "max_sequence_length": 77, "generator": 7, **SMALL},
    "sigmas": {"prompt": "a cat", "sigmas": [1.0, 0.8, 0.45, 0.1], "generator": 8, "height": 64, "width": 64},
    "latents": {"prompt": "a cat", "latents": LATENTS, **SMALL},
    "several_pictures": {"prompt": "a cat", "num_images_per_prompt": 3, "generator": 9, **SMALL},
    "several_prompts": {"prompt": ["a cat", "a dog"], "negative_prompt": ["snow", "rain"], "num_images_per_prompt": 2, "generator": 10, **SMALL},
    "several_generators": {"prompt": "a cat", "num_images_per_prompt": 2, "generator": [11, 12], **SMALL},
    "skipped_layers": {"prompt": "a cat", "skip_guidance_layers": [2], "generator": 13, **{**SMALL, "num_inference_steps": 8}},
}


def arguments_of(name, make_generator):
    """`make_generator`: torch's Generator or fude's. Latents become a tensor where it is torch's."""
    arguments = dict(CALLS[name])
    seeds = arguments.get("generator")
    if seeds is not None:
        made = [make_generator().manual_seed(seed) for seed in (seeds if isinstance(seeds, list) else [seeds])]
        arguments["generator"] = made if isinstance(seeds, list) else made[0]
    if "latents" in arguments and make_generator.__module__.startswith("torch"):
        import torch

        arguments["latents"] = torch.from_numpy(arguments["latents"].copy())
    return arguments
