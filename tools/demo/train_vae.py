"""Trains the VAE on rendered scenes and measures the shift and scale of its latents. One command, ends by the clock."""

import argparse
import math
import time

import torch
import torch.nn.functional as F

import weights
from dataset import as_arrays, make_scenes, render_all
from networks import Vae
from pictures import save_grid
from render import Renderer
from scenes import held_out_scenes

KL_WEIGHT = 6e-4  # per latent value against a mean absolute error; keeps latents smooth enough for a small transformer


def edge_loss(a, b):
    """Mean absolute error of horizontal and vertical differences at three scales: what makes outlines crisp."""
    loss = 0
    for _ in range(3):
        loss = loss + (a.diff(dim=-1) - b.diff(dim=-1)).abs().mean() + (a.diff(dim=-2) - b.diff(dim=-2)).abs().mean()
        a, b = F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)
    return loss


def autocast(device):
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")


@torch.no_grad()
def measure(vae, scenes, renderer, device):
    """PSNR over the scenes (mean of the pictures' own), latent statistics, and the last pictures beside their copies."""
    psnr, latents = [], []
    for picture in render_all(scenes, renderer, 32):
        with autocast(device):
            mean, _ = vae.moments(picture)
            copy = vae.decoder(mean).float().clamp(-1, 1)
        psnr.append(-10 * ((picture - copy) / 2).square().mean((1, 2, 3)).log10())
        latents.append(mean)
    latents = torch.cat(latents)
    stats = {"shift_factor": latents.mean().item(), "scaling_factor": 1 / latents.std().item()}
    return torch.cat(psnr).mean().item(), stats, torch.stack([picture, copy], 1).flatten(0, 1)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sprites", default="sprites.npz")
    parser.add_argument("--resume", help="folder with weights to go on from")
    parser.add_argument("--out", required=True)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--scenes", type=int, default=12000)
    parser.add_argument("--test", type=int, default=1024, help="held-out scenes to measure with")
    parser.add_argument("--batch", type=int, default=24)
    parser.add_argument("--rate", type=float, default=8e-4)
    parser.add_argument("--workers", type=int, default=16)
    parser.add_argument("--least-psnr", type=float, default=0.0, help="fail below this, so that a job that goes on does not waste its time")
    args = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(0)
    scenes = make_scenes(args.scenes, seed=1, workers=args.workers)
    renderer = Renderer(args.sprites, device)
    pool = torch.cat([((picture + 1) * 127.5).round().byte() for picture in render_all(scenes, renderer, 256)])
    vae = Vae()
    if args.resume:
        vae.load_state_dict(weights.component(weights.load(args.resume)[0], "vae"))
    vae = vae.to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(vae.parameters(), args.rate, betas=(0.9, 0.99), weight_decay=0.0, fused=device.type == "cuda")

    def loss_of(picture):
        with autocast(device):
            mean, log_variance = vae.moments(picture)
            copy = vae.decoder(mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)).float()
        kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()
        absolute = (copy - picture).abs().mean()
        return absolute + 0.5 * edge_loss(copy, picture) + KL_WEIGHT * kl, absolute.detach(), kl.detach()

    if device.type == "cuda":
        loss_of = torch.compile(loss_of)
    start, step, reported = time.time(), 0, 0.0
    while True:
        picture = pool[torch.randint(len(pool), (args.batch,), device=device)].float() / 127.5 - 1
        loss, absolute, kl = loss_of(picture.contiguous(memory_format=torch.channels_last))
        if step == 1:
            start = time.time()  # the first step compiles, which is not training
        progress = (time.time() - start) / (args.minutes * 60)
        for group in optimizer.param_groups:
            group["lr"] = args.rate * min(1, (step + 1) / 200) * (0.5 + 0.5 * math.cos(math.pi * min(progress, 1)))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        step += 1
        if step % 50 == 0:
            loss.item()  # waits for the device, so that the clock above tells the truth
        if progress >= reported:
            print(f"vae step {step} {progress:4.0%} loss {loss:.4f} absolute {absolute:.4f} kl {kl:.2f}", flush=True)
            reported += 0.1
        if progress >= 1 and step > 1:
            break

    psnr, stats, pairs = measure(vae, as_arrays(held_out_scenes(args.test)), renderer, device)
    print(f"vae: {step} steps of {args.batch}, PSNR {psnr:.2f} dB on {args.test} held-out scenes, {stats}")
    weights.save_parts(args.out, {f"vae.{name}": tensor for name, tensor in vae.state_dict().items()}, stats)
    save_grid(pairs[:32], f"{args.out}/vae.png", 8)
    assert psnr >= args.least_psnr


if __name__ == "__main__":
    main()
