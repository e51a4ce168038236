"""Weights on disk. Between jobs they travel as 16-bit parts of at most 15 MiB without optimiser state; the shipped model is a
diffusers folder. Both can be read here, so that training goes on from either."""

import json
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

PART_BYTES = 15 << 20
COMPONENT_FILES = {
    "text_encoder": "model.safetensors", "text_encoder_2": "model.safetensors", "text_encoder_3": "model.safetensors",
    "transformer": "diffusion_pytorch_model.safetensors", "vae": "diffusion_pytorch_model.safetensors",
}


def save_parts(folder, tensors: dict[str, torch.Tensor], latent_stats: dict[str, float]):
    """latent_stats: the VAE's measured shift_factor and scaling_factor."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    parts, used = [{}], 0
    for name, tensor in tensors.items():
        tensor = tensor.detach().to("cpu", torch.float16).contiguous()
        if parts[-1] and used + tensor.nbytes > PART_BYTES:
            parts.append({})
            used = 0
        parts[-1][name] = tensor
        used += tensor.nbytes
    for index, part in enumerate(parts):
        save_file(part, folder / f"part-{index}.safetensors", {key: repr(value) for key, value in latent_stats.items()})


def load_parts(folder):
    tensors, stats = {}, {}
    for path in sorted(Path(folder).glob("part-*.safetensors")):
        with safe_open(path, "pt") as file:
            stats = {key: float(value) for key, value in file.metadata().items()}
        tensors.update(load_file(path))
    return tensors, stats


def load_model(folder):
    tensors = {}
    for component, file in COMPONENT_FILES.items():
        path = Path(folder) / component / file
        if path.exists():
            tensors.update({f"{component}.{name}": tensor for name, tensor in load_file(path).items()})
    config = json.loads((Path(folder) / "vae/config.json").read_text())
    return tensors, {key: config[key] for key in ("shift_factor", "scaling_factor")}


def load(folder):
    """All stored tensors, named component.parameter, and the latent statistics."""
    return load_parts(folder) if list(Path(folder).glob("part-*.safetensors")) else load_model(folder)


def component(tensors, prefix):
    return {name[len(prefix) + 1:]: tensor.float() for name, tensor in tensors.items() if name.startswith(prefix + ".")}
