"""Trains the VAE on rendered scenes and measures the shift and scale of its latents: first all of it, then its decoder alone, which
leaves the latents as they are. One command, ends by the clock; with torchrun on several GPUs."""

import argparse
import copy
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
KEPT_KL_WEIGHT = 1e-4  # where the latents stay near earlier ones, which are smooth already
KEEP_WEIGHT = 0.3    # on the squared distance from the earlier latents, of their variance
PSNR_WEIGHT = 0.1    # on the logarithm of each picture's squared error: grossly wrong pixels count most, plain pictures like full ones
HALF_WEIGHT = 0.1    # halved latents shall decode to the halved picture: latents without hidden fine patterns are easier to draw
SIDE = 256
LARGE = (448, 448)   # windows of larger pictures show things as large as in other picture sizes
LARGE_SHARE = 0.25
COMPILING_STEPS = 2  # the first of all and the first of the decoder alone, whose time is not counted
SAVES = 4  # parts are written so often: what was trained is kept when a machine is taken away


def edge_loss(a, b):
    """Mean absolute error of horizontal and vertical differences at three scales: what makes outlines crisp."""
    loss = 0
    for _ in range(3):
        loss = loss + (a.diff(dim=-1) - b.diff(dim=-1)).abs().mean() + (a.diff(dim=-2) - b.diff(dim=-2)).abs().mean()
        a, b = F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)
    return loss


def autocast(device):
    """f16, whose rounding costs less of the PSNR than bf16's; the model ships in it."""
    return torch.autocast(device.type, torch.float16, enabled=device.type == "cuda")


@torch.no_grad()
def measure(vae, scenes, renderer, device):
    """PSNR over the scenes (mean of the pictures' own), latent statistics, and the last pictures beside their copies."""
    psnr, latents = [], []
    for picture in render_all(scenes, renderer, 32):
        mean, _ = vae.moments(picture)
        made = vae.decoder(mean).clamp(-1, 1)
        psnr.append(-10 * ((picture - made) / 2).square().mean((1, 2, 3)).log10())
        latents.append(mean)
    latents = torch.cat(latents)
    stats = {"shift_factor": latents.mean().item(), "scaling_factor": 1 / latents.std().item()}
    return torch.cat(psnr).mean().item(), stats, torch.stack([picture, made], 1).flatten(0, 1)


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
    parser.add_argument("--decoder-share", type=float, default=0.5, help="of the time, at its end, for the decoder alone")
    parser.add_argument("--keep", action="store_true", help="stay near the latents of --resume, which a painter has learned")
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
    published = copy.deepcopy(vae).requires_grad_(False) if args.keep else None
    parameters = list(vae.parameters())
    optimizer = torch.optim.AdamW(parameters, args.rate, betas=(0.9, 0.99), weight_decay=0.0, fused=device.type == "cuda")

    def loss_of(picture, alone):
        """Loss, squared error, KL divergence. alone: of the decoder, whose latents have from none to all of the encoder's noise."""
        with autocast(device):
            with torch.set_grad_enabled(not alone):
                mean, log_variance = vae.moments(picture)
            noise = torch.exp(0.5 * log_variance) * torch.randn_like(mean)
            latents = mean + (noise * torch.rand(len(picture), 1, 1, 1, device=device) if alone else noise)
            made = vae.decoder(latents).float()
            half = vae.decoder(F.avg_pool2d(latents, 2)).float()
            earlier = published.moments(picture)[0] if published and not alone else mean
        squares = (made - picture).square().mean((1, 2, 3))
        halves = (half - F.avg_pool2d(picture, 2)).abs().mean()
        loss = (made - picture).abs().mean() + 0.5 * edge_loss(made, picture) + PSNR_WEIGHT * (squares + 1e-6).log().mean() + HALF_WEIGHT * halves
        kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()
        if not alone:
            loss = loss + (KEPT_KL_WEIGHT if published else KL_WEIGHT) * kl + KEEP_WEIGHT * (mean - earlier).square().mean() / earlier.var()
        return loss, squares.mean().detach(), kl.detach()

    if device.type == "cuda":
        loss_of = torch.compile(loss_of)
    scaler = torch.amp.GradScaler(device.type, enabled=device.type == "cuda")
    start, step, reported, saved, progress, alone = time.time(), 0, 0.0, 0.0, 0.0, False
    test = as_arrays(held_out_scenes(args.test))

    def save():
        if team.rank == 0:
            psnr, stats, pairs = measure(vae, test, renderer, device)
            print(f"vae: {step} steps of {args.batch} on {team.size} GPUs, PSNR {psnr:.2f} dB on {args.test} held-out scenes, {stats}", flush=True)
            weights.save_parts(args.out, {f"vae.{name}": tensor for name, tensor in vae.state_dict().items()}, stats)
            save_grid(pairs[:32], f"{args.out}/vae.png", 8)

    if team.rank == 0:
        print(f"vae: scenes rendered after {start - begun:.0f} s", flush=True)
    compiling, since = COMPILING_STEPS, start
    while progress < 1:
        if not alone and progress >= 1 - args.decoder_share:
            alone = True
            parameters = list(vae.decoder.parameters())
            vae.encoder.requires_grad_(False)
            compiling, since = COMPILING_STEPS, time.time()
        pool = pools[torch.rand(()) < LARGE_SHARE]
        picture = windows(pool[torch.randint(len(pool), (args.batch,), device=device)]).float() / 127.5 - 1
        loss, square, kl = loss_of(picture.contiguous(memory_format=torch.channels_last), alone)
        for group in optimizer.param_groups:
            group["lr"] = args.rate * min(1, (step + 1) / 200) * (0.5 + 0.5 * math.cos(math.pi * min(progress, 1)))
        optimizer.zero_grad(set_to_none=True)
        scaler.scale(loss).backward()
        team.average_gradients(parameters)
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        scaler.step(optimizer)
        scaler.update()
        step += 1
        if compiling:
            compiling -= 1
            if compiling == 0:
                start += team.from_first(time.time() - since)[0]
        elif step % 20 == 0:
            (progress,) = team.from_first((time.time() - start) / (args.minutes * 60))
        if progress >= reported and team.rank == 0:
            print(f"vae step {step} {progress:4.0%} {'decoder alone' if alone else 'all of it'} loss {loss:.4f} PSNR {10 * math.log10(4 / square):.2f} "
                  f"kl {kl:.2f} after {time.time() - begun:.0f} s", flush=True)
            reported += 0.05
        if saved + 1 / SAVES <= progress < 1:
            save()
            saved += 1 / SAVES
    save()
    team.end()


if __name__ == "__main__":
    main()
