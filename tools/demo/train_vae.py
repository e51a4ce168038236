"""Trains the VAE on rendered scenes and measures the shift and scale of its latents. One command, ends by the clock; with torchrun
on several GPUs."""

import argparse
import math
import time

import torch
import torch.nn.functional as F

import weights
from dataset import as_arrays, make_scenes, render_all
from networks import Vae
from parallel import Team
from pictures import save_grid
from render import Renderer
from scenes import held_out_scenes

KL_WEIGHT = 6e-4     # per latent value against a mean absolute error; keeps latents smooth enough for a small transformer
SQUARE_WEIGHT = 3.0  # on the mean squared error: a few grossly wrong pixels along an outline show most
HALF_WEIGHT = 0.1    # halved latents shall decode to the halved picture: latents without hidden fine patterns are easier to draw
SIDE = 256
LARGE = (448, 448)   # windows of larger pictures show things as large as in other picture sizes
LARGE_SHARE = 0.25


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


def windows(pictures):
    """One random SIDE × SIDE window for all."""
    top, left = (int(torch.randint(pictures.shape[k] - SIDE + 1, ())) for k in (2, 3))
    return pictures[:, :, top:top + SIDE, left:left + SIDE]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sprites", default="sprites.npz")
    parser.add_argument("--resume", help="folder with weights to go on from")
    parser.add_argument("--out", required=True)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--scenes", type=int, default=16000, help="for each GPU")
    parser.add_argument("--test", type=int, default=1024, help="held-out scenes to measure with")
    parser.add_argument("--batch", type=int, default=24, help="for each GPU")
    parser.add_argument("--rate", type=float, default=8e-4)
    parser.add_argument("--workers", type=int, default=16)
    parser.add_argument("--seed", type=int, default=1, help="of the training scenes")
    args = parser.parse_args()
    team, begun = Team(), time.time()
    device = team.device
    torch.manual_seed(team.rank)
    renderer = Renderer(args.sprites, device)
    pools = [torch.cat([((picture + 1) * 127.5).round().byte() for picture in render_all(scenes, renderer, 128)]) for scenes in
             (make_scenes(args.scenes, args.seed * 100 + team.rank, args.workers),
              make_scenes(args.scenes // 8, args.seed * 100 + 50 + team.rank, args.workers, LARGE))]
    vae = Vae()
    if args.resume:
        vae.load_state_dict(weights.component(weights.load(args.resume)[0], "vae"))
    vae = vae.to(device, memory_format=torch.channels_last)
    team.same_weights(vae)
    parameters = list(vae.parameters())
    optimizer = torch.optim.AdamW(parameters, args.rate, betas=(0.9, 0.99), weight_decay=0.0, fused=device.type == "cuda")

    def loss_of(picture):
        with autocast(device):
            mean, log_variance = vae.moments(picture)
            latents = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
            copy = vae.decoder(latents).float()
            half = vae.decoder(F.avg_pool2d(latents, 2)).float()
        kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()
        absolute, square = (copy - picture).abs().mean(), (copy - picture).square().mean()
        halves = (half - F.avg_pool2d(picture, 2)).abs().mean()
        loss = absolute + 0.5 * edge_loss(copy, picture) + SQUARE_WEIGHT * square + HALF_WEIGHT * halves + KL_WEIGHT * kl
        return loss, absolute.detach(), square.detach(), kl.detach()

    if device.type == "cuda":
        loss_of = torch.compile(loss_of)
    start, step, reported, progress = time.time(), 0, 0.0, 0.0
    if team.rank == 0:
        print(f"vae: scenes rendered after {start - begun:.0f} s", flush=True)
    while progress < 1:
        pool = pools[torch.rand(()) < LARGE_SHARE]
        picture = windows(pool[torch.randint(len(pool), (args.batch,), device=device)]).float() / 127.5 - 1
        loss, absolute, square, kl = loss_of(picture.contiguous(memory_format=torch.channels_last))
        for group in optimizer.param_groups:
            group["lr"] = args.rate * min(1, (step + 1) / 200) * (0.5 + 0.5 * math.cos(math.pi * min(progress, 1)))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        team.average_gradients(parameters)
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        step += 1
        if step == 2:
            (start,) = team.from_first(time.time())  # the first steps compile, which is not training
        if step % 20 == 0 or step == 2:
            (progress,) = team.from_first((time.time() - start) / (args.minutes * 60))
        if progress >= reported and team.rank == 0:
            print(f"vae step {step} {progress:4.0%} loss {loss:.4f} absolute {absolute:.4f} PSNR {10 * math.log10(4 / square):.2f} kl {kl:.2f} "
                  f"after {time.time() - begun:.0f} s", flush=True)
            reported += 0.1

    if team.rank == 0:
        psnr, stats, pairs = measure(vae, as_arrays(held_out_scenes(args.test)), renderer, device)
        print(f"vae: {step} steps of {args.batch} on {team.size} GPUs, PSNR {psnr:.2f} dB on {args.test} held-out scenes, {stats}", flush=True)
        weights.save_parts(args.out, {f"vae.{name}": tensor for name, tensor in vae.state_dict().items()}, stats)
        save_grid(pairs[:32], f"{args.out}/vae.png", 8)
    team.end()


if __name__ == "__main__":
    main()
