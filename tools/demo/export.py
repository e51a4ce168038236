"""Writes trained parts as a diffusers folder in fp16 (the tokenizers are already in it)."""

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import save_file

import networks
import weights
from text import Text

PIPELINE = {
    "_class_name": "StableDiffusion3Pipeline", "_diffusers_version": "0.31.0",
    "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"], "transformer": ["diffusers", "SD3Transformer2DModel"], "vae": ["diffusers", "AutoencoderKL"],
    "text_encoder": ["transformers", "CLIPTextModelWithProjection"], "tokenizer": ["transformers", "CLIPTokenizer"],
    "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"], "tokenizer_2": ["transformers", "CLIPTokenizer"],
    "text_encoder_3": ["transformers", "T5EncoderModel"], "tokenizer_3": ["transformers", "T5TokenizerFast"],
}
SCHEDULER = {"_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000, "shift": 3.0}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--parts", required=True)
    parser.add_argument("--model", default="../../models/demo")
    args = parser.parse_args()
    folder = Path(args.model)
    tensors, stats = weights.load_parts(args.parts)
    text = Text(folder)
    configs = {
        "text_encoder": {**networks.CLIP_L_CONFIG, "vocab_size": text.clip_vocabulary, "torch_dtype": "float16"},
        "text_encoder_2": {**networks.CLIP_G_CONFIG, "vocab_size": text.clip_vocabulary, "torch_dtype": "float16"},
        "text_encoder_3": {**networks.T5_CONFIG, "vocab_size": text.t5_vocabulary, "torch_dtype": "float16"},
        "transformer": networks.TRANSFORMER_CONFIG,
        "vae": {**networks.VAE_CONFIG, **stats},
    }
    for component, config in configs.items():
        (folder / component).mkdir(parents=True, exist_ok=True)
        (folder / component / "config.json").write_text(json.dumps(config, indent=2) + "\n")
        half = {name: tensor.half().contiguous() for name, tensor in weights.component(tensors, component).items()}
        assert all(torch.isfinite(tensor).all() for tensor in half.values())
        save_file(half, folder / component / weights.COMPONENT_FILES[component], {"format": "pt"})
    (folder / "scheduler").mkdir(exist_ok=True)
    (folder / "scheduler/scheduler_config.json").write_text(json.dumps(SCHEDULER, indent=2) + "\n")
    (folder / "model_index.json").write_text(json.dumps(PIPELINE, indent=2) + "\n")
    print(f"{sum(file.stat().st_size for file in folder.rglob('*') if file.is_file()) / 1e6:.2f} MB in {folder}")


if __name__ == "__main__":
    main()
