"""Trains the three text encoders and the transformer together on encoded scenes. One command, ends by the clock, goes on from
whatever weights it is given."""

import argparse
import copy
import time

import torch

import weights
from dataset import make_scenes, render_all
from networks import CLIP_TOKENS, T5_TOKENS, Painter, Vae
from optimizer import Muon
from pictures import draw, save_grid
from render import Renderer
from scenes import CAPTIONS, held_out_scenes
from text import Text

SHORT = (40, 60)                    # CLIP and T5 tokens that hold every caption of the generator
FULL = (CLIP_TOKENS, T5_TOKENS)     # what the pipeline always runs, padding included
EMPTY_SHARE = 0.1
EMA = 0.999
MISSION = ("a bright park scene with a boy and a girl sitting on a bench, between them a cute puppy",
           "a girl standing in front of a large aquarium with many colorful tropical fish",
           "A bright park scene with a boy and a girl sitting on a bench, smiling at each other. Between them, a cute puppy is sitting on the bench.",
           "a dog to the left of a red car on a beach", "a cat between a tree and a house", "a small rocket above a castle at night",
           "a cup of coffee on a table in a room", "three apples on a blue background")


def encode_scenes(vae, scenes, renderer, stats, device):
    """Latents [n,16,32,32], normalised, bf16, kept on the device."""
    latents = torch.empty(len(scenes), 16, 32, 32, dtype=torch.bfloat16, device=device)
    encoder, start = vae.encoder, 0
    if device.type == "cuda":
        encoder = torch.compile(encoder)
    for pictures in render_all(scenes, renderer, 512):
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            mean = encoder(pictures.contiguous(memory_format=torch.channels_last))[:, :16].float()
        latents[start:start + len(mean)] = (mean - stats["shift_factor"]) * stats["scaling_factor"]
        start += len(mean)
    return latents


def tokenize(text, captions, lengths, device):
    return [torch.from_numpy(ids).to(device) for ids in text(captions, *lengths)]


def optimizers(painter, rate):
    """Muon for the transformer's hidden matrices, AdamW for the rest."""
    hidden = [p for name, p in painter.transformer.transformer_blocks.named_parameters() if p.ndim == 2 and "norm" not in name]
    chosen = {id(p) for p in hidden}
    rest = [p for p in painter.parameters() if id(p) not in chosen]
    fused = next(painter.parameters()).is_cuda
    return [Muon(hidden, 3 * rate), torch.optim.AdamW(rest, rate, betas=(0.9, 0.98), weight_decay=0.0, fused=fused)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sprites", default="sprites.npz")
    parser.add_argument("--model", default="../../models/demo", help="diffusers folder: its tokenizers, and its weights unless --resume is given")
    parser.add_argument("--resume", help="folder with parts of a previous run")
    parser.add_argument("--vae", help="folder with a newer VAE than that")
    parser.add_argument("--out", required=True)
    parser.add_argument("--minutes", type=float, default=7.0)
    parser.add_argument("--scenes", type=int, default=300000)
    parser.add_argument("--seed", type=int, default=2, help="of the training scenes; a new one for every run")
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--short", type=float, default=0.6, help="share of the time spent on captions without most of their padding")
    parser.add_argument("--decay", type=float, default=0.0, help="share of the time, at the end, in which the rate falls to zero")
    parser.add_argument("--timestep-spread", type=float, default=1.2)
    parser.add_argument("--timestep-shift", type=float, default=3.0)
    parser.add_argument("--samples", type=int, default=32, help="pictures in the grid drawn at the end")
    parser.add_argument("--workers", type=int, default=16)
    args = parser.parse_args()
    begun = time.time()
    say = lambda words: print(f"[{time.time() - begun:5.0f} s] {words}", flush=True)
    torch.manual_seed(args.seed)
    scenes = make_scenes(args.scenes, args.seed, args.workers)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.backends.cuda.matmul.allow_tf32 = True
    say(f"{len(scenes)} scenes invented")
    text = Text(args.model)
    tensors, stats = weights.load(args.resume or args.model)
    if args.vae:
        newer, stats = weights.load(args.vae)
        tensors.update((name, tensor) for name, tensor in newer.items() if name.startswith("vae."))
    vae = Vae().to(device, memory_format=torch.channels_last)
    vae.load_state_dict(weights.component(tensors, "vae"))
    painter = Painter(text.clip_vocabulary, text.t5_vocabulary).to(device)
    trained = {name: tensor.float() for name, tensor in tensors.items() if not name.startswith("vae.")}
    if trained:
        painter.load_state_dict(trained)
    ema = copy.deepcopy(painter).requires_grad_(False)
    say("continuing" if trained else "starting from random weights")

    latents = encode_scenes(vae, scenes, Renderer(args.sprites, device), stats, device)
    captions = tokenize(text, scenes.captions, SHORT, device)
    # The longer form only repeats each row's last id: the padding.
    pad = lambda ids, width: torch.cat([ids, ids[:, -1:].expand(-1, width - ids.shape[1])], 1)
    empty = tokenize(text, [""], SHORT, device)
    say(f"encoded and tokenized; latents have mean {latents[:4096].float().mean():.3f}, deviation {latents[:4096].float().std():.3f}")
    # Regional: the blocks share their compiled code, which keeps the wait short.
    if device.type == "cuda":
        for module in (*painter.transformer.transformer_blocks, painter.text_encoder, painter.text_encoder_2, painter.text_encoder_3):
            module.compile(dynamic=False)
    chosen_optimizers = optimizers(painter, args.rate)
    base_rates = [[group["lr"] for group in o.param_groups] for o in chosen_optimizers]

    def batch_loss(lengths):
        scene = torch.randint(len(latents), (args.batch,), device=device)
        caption = scene * CAPTIONS + torch.randint(CAPTIONS, (args.batch,), device=device)
        dropped = torch.rand(args.batch, 1, device=device) < EMPTY_SHARE
        widths = (lengths[0], lengths[0], lengths[1])
        ids = [pad(torch.where(dropped, blank, rows[caption]), width).long() for rows, blank, width in zip(captions, empty, widths)]
        clean = latents[scene].float()
        noise = torch.randn_like(clean)
        sigma = torch.sigmoid(torch.randn(args.batch, device=device) * args.timestep_spread)
        sigma = args.timestep_shift * sigma / (1 + (args.timestep_shift - 1) * sigma)
        noisy = torch.lerp(clean, noise, sigma.view(-1, 1, 1, 1))
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            velocity = painter(noisy, 1000 * sigma, *ids)
        return (velocity.float() - (noise - clean)).square().mean()

    def save():
        merged = {**{f"vae.{name}": tensor for name, tensor in vae.state_dict().items()}, **ema.state_dict()}
        weights.save_parts(args.out, merged, stats)

    batch_loss(SHORT if args.short > 0 else FULL).backward()
    say("compiled")
    start, step, running, reported, saved = time.time(), 0, None, 0.0, 0.0
    while (progress := (time.time() - start) / (args.minutes * 60)) < 1:
        lengths = SHORT if progress < args.short else FULL
        factor = min(1, (step + 1) / 200)
        if args.decay:
            factor *= min(1, (1 - progress) / args.decay)
        for optimizer, rates in zip(chosen_optimizers, base_rates):
            for group, rate in zip(optimizer.param_groups, rates):
                group["lr"] = rate * factor
        painter.zero_grad(set_to_none=True)
        loss = batch_loss(lengths)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(painter.parameters(), 1.0)
        for optimizer in chosen_optimizers:
            optimizer.step()
        step += 1
        decay = min(EMA, (step + 1) / (step + 10))
        torch._foreach_lerp_(list(ema.parameters()), list(painter.parameters()), 1 - decay)
        running = loss.detach() if running is None else torch.lerp(running, loss.detach(), 0.02)
        if step % 20 == 0:
            running.item()  # waits for the device, so that the clock above tells the truth
        if progress >= reported:
            say(f"step {step} {progress:4.0%} loss {running:.4f} pictures/s {step * args.batch / (time.time() - start):.0f} tokens {lengths}")
            reported += 0.04
        if progress >= saved + 0.25:
            save()
            saved += 0.25
    say(f"done: {step} steps of {args.batch}, loss {running:.4f}")
    save()
    prompts = [*MISSION, *(scene.captions[0] for scene in held_out_scenes(args.samples - len(MISSION)))]
    lengths = SHORT if args.short >= 1 else FULL
    ids, blank = ([i.long() for i in tokenize(text, c, lengths, device)] for c in (prompts, [""]))
    save_grid(draw(ema, vae, stats, ids, blank), f"{args.out}/samples.png", 8)
    print("\n".join(f"{k}: {p}" for k, p in enumerate(prompts)))
    say("sampled")


if __name__ == "__main__":
    main()
