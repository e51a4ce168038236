"""Drawing with the model in training precision, and writing grids of pictures."""

import torch
from PIL import Image

SHIFT = 3.0


def sigma_table(steps: int) -> list[float]:
    """FlowMatchEulerDiscreteScheduler's, which shifts its smallest sigma twice."""
    least = SHIFT * 0.001 / (1 + (SHIFT - 1) * 0.001)
    even = torch.linspace(1, least, steps, dtype=torch.float64)
    return [*(SHIFT * even / (1 + (SHIFT - 1) * even)).tolist(), 0.0]


@torch.no_grad()
def draw(painter, vae, stats, ids, empty_ids, seeds, steps=30, guidance=5.0, size=(256, 256)):
    """ids: three tensors of token ids [B,..]; empty_ids: the same for the empty caption [1,..]; a seed for each picture, which then
    starts from the noise that the pipeline draws for that seed -> RGB [B,3,H,W] in -1..1."""
    count, device = len(ids[0]), ids[0].device
    width, height = size
    noise = [torch.randn(1, 16, height // 8, width // 8, generator=torch.Generator("cpu").manual_seed(seed)) for seed in seeds]
    latents = torch.cat(noise).to(device)
    sigmas = sigma_table(steps)
    with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
        context, pooled = painter.encode(*ids)
        if guidance > 1:
            no_context, no_pooled = painter.encode(*(i.expand(count, -1) for i in empty_ids))
            context, pooled = torch.cat([no_context, context]), torch.cat([no_pooled, pooled])
        for sigma, following in zip(sigmas, sigmas[1:]):
            doubled = torch.cat([latents, latents]) if guidance > 1 else latents
            velocity = painter.transformer(doubled, torch.full((len(doubled),), 1000 * sigma, device=device), context, pooled).float()
            if guidance > 1:
                without, with_text = velocity.chunk(2)
                velocity = without + guidance * (with_text - without)
            latents = latents + (following - sigma) * velocity
        latents = latents / stats["scaling_factor"] + stats["shift_factor"]
        return torch.cat([vae.decoder(part) for part in latents.split(32)]).float().clamp(-1, 1)


def save_grid(pictures, path, columns):
    rows = -(-len(pictures) // columns)
    pixels = ((pictures + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    height, width = pixels.shape[1:3]
    grid = Image.new("RGB", (columns * width, rows * height))
    for index, picture in enumerate(pixels):
        grid.paste(Image.fromarray(picture), (index % columns * width, index // columns * height))
    grid.save(path)
