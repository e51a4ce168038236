"""Trains the three text encoders and the transformer together on encoded scenes. One command, ends by the clock, goes on from
whatever weights it is given; with torchrun on several GPUs."""

import argparse
import copy
import random
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

import weights
from networks import CLIP_TOKENS, T5_TOKENS, TRANSFORMER_CONFIG, Painter, Vae
from objects import CLASSES
from optimizer import Muon
from parallel import Team
from pictures import draw, save_grid
from render import Renderer
from scenes import BACKGROUNDS, PICTURE, held_out_scenes
from stock import CAPTION_TOKENS, SIZES, Stock
from text import Text

EMPTY_SHARE = 0.1
EMA = 0.999
LABELLED_BLOCK = 2   # after this block a head tells what each image token shows: early blocks shall already know
LABEL_WEIGHT = 0.05
LABELLED_UNTIL = 0.7  # of the time
SAVES = 8
MISSION = ("a bright park scene with a boy and a girl sitting on a bench, between them a cute puppy",
           "a girl standing in front of a large aquarium with many colorful tropical fish",
           "A bright park scene with a boy and a girl sitting on a bench, smiling at each other. Between them, a cute puppy is sitting on the bench.",
           "a dog to the left of a red car on a beach", "a cat between a tree and a house", "a small rocket above a castle at night",
           "a cup of coffee on a table in a room", "three apples on a blue background",
           "a cat on a bench in the snow", "a red bicycle on a bench in the snow", "a birthday cake on a bench in the snow", "a castle on a bench in the snow")


def tokenize(text, captions, lengths, device):
    return [torch.from_numpy(ids).to(device) for ids in text(captions, *lengths)]


def optimizers(painter, head, rate):
    """Muon for the transformer's hidden matrices, AdamW for the rest."""
    hidden = [p for name, p in painter.transformer.transformer_blocks.named_parameters() if p.ndim == 2 and "norm" not in name]
    chosen = {id(p) for p in hidden}
    rest = [p for p in (*painter.parameters(), *head.parameters()) if id(p) not in chosen]
    fused = next(painter.parameters()).is_cuda
    return [Muon(hidden, 3 * rate), torch.optim.AdamW(rest, rate, betas=(0.9, 0.98), weight_decay=0.0, fused=fused)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sprites", default="sprites.npz")
    parser.add_argument("--model", default="../../models/demo", help="diffusers folder: its tokenizers, and its weights unless others are given")
    parser.add_argument("--resume", help="folder with parts of a previous run")
    parser.add_argument("--vae", help="folder with a newer VAE than that")
    parser.add_argument("--fresh", action="store_true", help="start from random weights, whatever the model folder holds")
    parser.add_argument("--out", required=True, help="where parts go; a run that was cut off there goes on with its optimisers' state")
    parser.add_argument("--minutes", type=float, default=7.0)
    parser.add_argument("--scenes", type=int, default=131072, help="encoded scenes that each GPU keeps")
    parser.add_argument("--chunk", type=int, default=256, help="scenes that are invented and encoded together")
    parser.add_argument("--renew", type=int, default=16, help="times that a scene is used before new ones replace it, on average")
    parser.add_argument("--seed", type=int, default=2, help="of the training scenes; a new one for every run")
    parser.add_argument("--batch", type=int, default=384, help="pictures of the usual size, for each GPU; fewer of larger sizes")
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--decay", type=float, default=0.5, help="share of the time, at the end, in which the rate falls to zero")
    parser.add_argument("--timestep-spread", type=float, default=1.2)
    parser.add_argument("--timestep-shift", type=float, default=2.5)
    parser.add_argument("--samples", type=int, default=32, help="pictures in the grid drawn at the end")
    parser.add_argument("--workers", type=int, default=6, help="for each GPU")
    parser.add_argument("--eager", action="store_true", help="do not compile")
    parser.add_argument("--rehearse", action="store_true", help="compile, say how fast it is, and stop")
    args = parser.parse_args()
    begun = time.time()
    team = Team()
    device = team.device
    say = lambda words: team.rank == 0 and print(f"[{time.time() - begun:5.0f} s] {words}", flush=True)
    torch.manual_seed(args.seed)
    torch.backends.cuda.matmul.allow_tf32 = True
    text = Text(args.model)
    tensors, stats = weights.load(args.resume or args.model)
    if args.vae:
        newer, stats = weights.load(args.vae)
        tensors.update((name, tensor) for name, tensor in newer.items() if name.startswith("vae."))
    vae = Vae().to(device, memory_format=torch.channels_last).requires_grad_(False)
    vae.load_state_dict(weights.component(tensors, "vae"))
    painter = Painter(text.clip_vocabulary, text.t5_vocabulary).to(device)
    trained = {name: tensor.float() for name, tensor in tensors.items() if not name.startswith("vae.")}
    if trained and not args.fresh:
        painter.load_state_dict(trained)
    width = TRANSFORMER_CONFIG["caption_projection_dim"]
    head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, len(CLASSES) + len(BACKGROUNDS))).to(device)
    ema = copy.deepcopy(painter).requires_grad_(False)
    chosen_optimizers = optimizers(painter, head, args.rate)
    base_rates = [[group["lr"] for group in o.param_groups] for o in chosen_optimizers]
    step, progress = 0, 0.0
    state_file = Path(args.out) / "state.pt"
    if state_file.exists() and not args.rehearse:
        state = torch.load(state_file, map_location=device)
        step, progress = state["step"], state["progress"]
        for part, name in ((painter, "painter"), (ema, "ema"), (head, "head"), *zip(chosen_optimizers, ("muon", "adam"))):
            part.load_state_dict(state[name])
        say(f"going on after step {step}, {progress:.1%}")
    else:
        say("starting from random weights" if args.fresh or not trained else "continuing")
    team.same_weights(painter)
    team.same_weights(head)
    torch.manual_seed(args.seed * 1000 + team.rank + step)

    stock = Stock(vae, stats, Renderer(args.sprites, device), args.model, f"{args.seed} {team.rank} {step}", args.workers, args.scenes, args.chunk)
    for size in SIZES:
        stock.order(size)
    # The pipeline always runs all tokens, padding included. A row's padding repeats its last id.
    pad = lambda ids, width: torch.cat([ids, ids[:, -1:].expand(-1, width - ids.shape[1])], 1)
    empty = [ids.long() for ids in tokenize(text, [""], CAPTION_TOKENS, device)]
    # Regional: the blocks share their compiled code, which keeps the wait short. Sizes vary, and all run the same code.
    if device.type == "cuda" and not args.eager:
        torch._dynamo.config.recompile_limit = 64
        for module in (*painter.transformer.transformer_blocks, painter.text_encoder, painter.text_encoder_2, painter.text_encoder_3):
            module.compile(dynamic=True)

    def batch_loss(size, labelled):
        words = CLIP_TOKENS + T5_TOKENS
        count = args.batch if size == PICTURE else max(1, round(args.batch * (256 + words) / (size[0] * size[1] // 256 + words) / 8) * 8)
        clean, labels, ids = stock.rings[size].batch(count)
        dropped = torch.rand(count, 1, device=device) < EMPTY_SHARE
        widths = (CLIP_TOKENS, CLIP_TOKENS, T5_TOKENS)
        ids = [pad(torch.where(dropped, blank, rows), width) for rows, blank, width in zip(ids, empty, widths)]
        noise = torch.randn_like(clean)
        sigma = torch.sigmoid(torch.randn(count, device=device) * args.timestep_spread)
        sigma = args.timestep_shift * sigma / (1 + (args.timestep_shift - 1) * sigma)
        noisy = torch.lerp(clean, noise, sigma.view(-1, 1, 1, 1))
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            velocity, tokens = painter(noisy, 1000 * sigma, *ids, tap=LABELLED_BLOCK)
            told = head(tokens).float() if labelled else None
        loss = (velocity.float() - (noise - clean)).square().mean()
        label_loss = F.cross_entropy(told.flatten(0, 1), labels.flatten()) if labelled else torch.zeros((), device=device)
        return loss, label_loss, count

    parameters = [*painter.parameters(), *head.parameters()]

    def take_step(size, factor, labelled):
        for optimizer, rates in zip(chosen_optimizers, base_rates):
            for group, rate in zip(optimizer.param_groups, rates):
                group["lr"] = rate * factor
        for parameter in parameters:
            parameter.grad = None
        loss, label_loss, count = batch_loss(size, labelled)
        (loss + LABEL_WEIGHT * label_loss).backward()
        team.average_gradients(parameters)
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        for optimizer in chosen_optimizers:
            optimizer.step()
        return loss.detach(), label_loss.detach(), count

    def save():
        if team.rank == 0:
            Path(args.out).mkdir(parents=True, exist_ok=True)
            merged = {**{f"vae.{name}": tensor for name, tensor in vae.state_dict().items()}, **ema.state_dict()}
            weights.save_parts(args.out, merged, stats)
            state = {"step": step, "progress": progress, "painter": painter.state_dict(), "ema": ema.state_dict(), "head": head.state_dict(),
                     "muon": chosen_optimizers[0].state_dict(), "adam": chosen_optimizers[1].state_dict()}
            torch.save(state, state_file.with_suffix(".new"))
            state_file.with_suffix(".new").replace(state_file)

    for size in SIZES:
        stock.renew(size)
    say(f"first scenes encoded; latents have mean {stock.rings[PICTURE].latents[:args.chunk].float().mean():.3f}, "
        f"deviation {stock.rings[PICTURE].latents[:args.chunk].float().std():.3f}")
    if args.rehearse:
        for size in (PICTURE, (512, 288), (512, 512)):
            take_step(size, 0.0, True)
            say(f"compiled {size}")
            start, drawn = time.time(), 0
            for _ in range(10):
                loss, _, count = take_step(size, 0.0, True)
                drawn += count
            loss.item()
            say(f"{size}: {drawn / (time.time() - start):.0f} pictures/s, {(time.time() - start) / 10 * 1000:.1f} ms a step")
        start = time.time()
        for _ in range(4):
            stock.renew(PICTURE)
        stock.rings[PICTURE].latents[0, 0, 0, 0].item()
        say(f"{4 * args.chunk / (time.time() - start):.0f} scenes/s painted and encoded")
        stock.end()
        team.end()
        return
    for _ in range(24 if step else 64):
        stock.renew(PICTURE)
    running, running_labels, used, seen = None, None, dict.fromkeys(SIZES, 0), 0
    names, shares = list(SIZES), list(SIZES.values())
    (start,) = team.from_first(time.time() - progress * args.minutes * 60)
    first_time, first_step, reported, saved = time.time(), step, progress, progress
    while progress < 1:
        size = random.Random(args.seed * 1_000_003 + step).choices(names, shares)[0]
        factor = min(1, (step - first_step + 1) / 200, (1 - progress) / args.decay if args.decay else 1)
        loss, label_loss, count = take_step(size, factor, progress < LABELLED_UNTIL)
        step += 1
        torch._foreach_lerp_(list(ema.parameters()), list(painter.parameters()), 1 - min(EMA, (step + 1) / (step + 10)))
        used[size] += count
        seen += count * team.size
        if used[size] >= args.chunk * args.renew:
            used[size] -= args.chunk * args.renew
            stock.renew(size)
        if size == PICTURE:
            running = loss if running is None else torch.lerp(running, loss, 0.02)
            running_labels = label_loss if running_labels is None else torch.lerp(running_labels, label_loss, 0.02)
        if step % 20 == 0:
            (progress,) = team.from_first((time.time() - start) / (args.minutes * 60))
        if progress >= reported and running is not None:
            say(f"step {step} {progress:4.0%} loss {running:.4f} labels {running_labels:.3f} pictures/s {seen / (time.time() - first_time):.0f}")
            reported += 0.02
        if progress >= saved + 1 / SAVES:
            save()
            saved += 1 / SAVES
    say(f"done: {step} steps, {seen} pictures since the start, {stock.encoded * team.size} scenes encoded, loss {running:.4f}")
    save()
    if team.rank == 0:
        prompts = [*MISSION, *(scene.captions[0] for scene in held_out_scenes(args.samples))][:args.samples]
        ids, blank = ([i.long() for i in tokenize(text, c, (CLIP_TOKENS, T5_TOKENS), device)] for c in (prompts, [""]))
        save_grid(draw(ema, vae, stats, ids, blank, range(len(prompts))), f"{args.out}/samples.png", 8)
        print("\n".join(f"{k}: {p}" for k, p in enumerate(prompts)))
        say("sampled")
    stock.end()
    team.end()


if __name__ == "__main__":
    main()
