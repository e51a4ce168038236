"""Counts what the model's pictures really show. A detector trained on rendered scenes alone looks for the named things of 300
held-out captions, whose combinations were never trained, in renders (how good is the detector?) and in drawn pictures."""

import argparse
import json
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import nn

import weights
from dataset import as_arrays, make_scenes
from networks import Painter, Vae
from objects import CLASSES
from pictures import draw
from render import Renderer
from scenes import PICTURE, held_out_scenes
from text import Text

CELL = 8  # pixels per cell of the detector's map
THRESHOLD = 0.4
THRESHOLDS = (0.2, 0.3, 0.4, 0.5, 0.6)  # tried on true renders
SETTINGS = [(30, 5.0), (30, 1.0), (5, 5.0), (10, 5.0), (20, 5.0), (50, 5.0), (30, 2.0), (30, 10.0), (30, 0.5), (30, 3.0), (30, 4.0), (30, 6.0), (30, 7.0), (70, 5.0)]


class Residual(nn.Module):
    def __init__(self, c, dilation):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(c, c, 3, padding=dilation, dilation=dilation), nn.GroupNorm(8, c), nn.ReLU(),
                                  nn.Conv2d(c, c, 3, padding=dilation, dilation=dilation), nn.GroupNorm(8, c))

    def forward(self, x):
        return F.relu(x + self.body(x))


class Detector(nn.Module):
    """RGB in -1..1 -> one map of logits per class, high where the middle of such a thing is."""

    def __init__(self):
        super().__init__()
        down = lambda a, b: [nn.Conv2d(a, b, 4, stride=2, padding=1), nn.GroupNorm(8, b), nn.ReLU()]
        self.body = nn.Sequential(*down(3, 32), *down(32, 96), *down(96, 192), *(Residual(192, d) for d in (1, 2, 4, 1, 2, 1)))
        self.head = nn.Conv2d(192, len(CLASSES), 1)
        nn.init.constant_(self.head.bias, -5.0)

    def forward(self, picture):
        return self.head(self.body(picture))


def targets(slots, slot_count, classes):
    """Maps [B,classes,32,32] with a soft dot at every sprite's middle."""
    side = PICTURE[0] // CELL
    axis = (torch.arange(side, device=slots.device) + 0.5) * CELL
    dots = torch.exp(-((axis[None, None, None] - slots[..., 1, None, None]) ** 2 + (axis[None, None, :, None] - slots[..., 2, None, None]) ** 2) / (2 * 7.0 ** 2))
    present = torch.arange(slots.shape[1], device=slots.device)[None] < slot_count[:, None]
    maps = torch.zeros(len(slots), len(CLASSES), side, side, device=slots.device)
    index = classes[slots[..., 0].long()][..., None, None].expand_as(dots)
    return maps.scatter_reduce_(1, index, dots * present[..., None, None], "amax")


def spoil(picture):
    """Noise, blur and colour changes, so that small flaws do not hide a thing from the detector."""
    n, device = len(picture), picture.device
    blurred = F.avg_pool2d(picture, 3, 1, 1)
    picture = torch.where(torch.rand(n, 1, 1, 1, device=device) < 0.4, blurred, picture)
    picture = picture * (0.85 + 0.3 * torch.rand(n, 3, 1, 1, device=device)) + 0.2 * (torch.rand(n, 3, 1, 1, device=device) - 0.5)
    return picture + 0.15 * torch.rand(n, 1, 1, 1, device=device) * torch.randn_like(picture)


def train_detector(renderer, device, minutes, count, batch, workers):
    scenes = make_scenes(count, seed=977, workers=workers)
    detector = Detector().to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(detector.parameters(), 2e-3)
    start, step = time.time(), 0
    while (progress := (time.time() - start) / (minutes * 60)) < 1:
        optimizer.param_groups[0]["lr"] = 2e-3 * min(1, (step + 1) / 100, (1 - progress) * 2)
        first = step * batch % (len(scenes) - batch + 1)
        tensors = scenes.tensors(first, first + batch, device)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            logits = detector(spoil(renderer(scenes.size, *tensors)[0]).contiguous(memory_format=torch.channels_last)).float()
        wanted = targets(*tensors[2:], renderer.classes)
        # Focal weighting: nearly every cell of nearly every map is empty.
        weight = (wanted - logits.sigmoid()).abs().square() * (1 + 4 * wanted)
        loss = (weight * F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")).sum() / batch
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        step += 1
        if step % 100 == 0:
            print(f"detector step {step} {progress:4.0%} loss {loss.item():.3f}", flush=True)
    return detector.eval()


@torch.no_grad()
def find(detector, pictures):
    """Best score and its place for every class: scores [B,C], x [B,C], y [B,C]."""
    with torch.autocast(pictures.device.type, torch.bfloat16, enabled=pictures.is_cuda):
        maps = torch.cat([detector(part).float().sigmoid() for part in pictures.split(64)])
    score, place = maps.flatten(2).max(2)
    side = maps.shape[-1]
    return score.cpu(), (place % side).cpu(), (place // side).cpu()


def judge(scenes, score, x, y, threshold=THRESHOLD):
    """Shares of: named things found; left and between relations right; above and on right; and unnamed classes seen per picture."""
    named = found = alarms = 0
    sides, heights = [], []
    for k, scene in enumerate(scenes):
        kinds = [kind for kind, _, _ in scene.objects]
        seen = [bool(score[k, kind] >= threshold) for kind in kinds]
        named += len(kinds)
        found += sum(seen)
        alarms += int((score[k] >= threshold).sum()) - len({kind for kind, s in zip(kinds, seen) if s})
        across, down = [int(x[k, kind]) for kind in kinds], [int(y[k, kind]) for kind in kinds]
        for relation, *who in scene.relations:
            there = all(seen[i] for i in who)
            if relation == "left":
                sides.append(there and across[who[0]] < across[who[1]])
            elif relation == "between":
                low, high = sorted((across[who[1]], across[who[2]]))
                sides.append(there and low < across[who[0]] < high)
            elif relation == "above":
                heights.append(there and down[who[0]] < down[who[1]])
            else:  # on: not lower than the bench or table, which seated people barely overtop, and within its width
                heights.append(there and down[who[0]] <= down[who[1]] + 1 and abs(across[who[0]] - across[who[1]]) <= 14)
    share = lambda hits: sum(hits) / max(1, len(hits))
    return {"found": found / named, "left_right_between": share(sides), "above_on": share(heights), "other_things_per_picture": alarms / len(scenes)}


def show(label, result):
    print(f"{label:34}" + "".join(f"{key} {value:6.3f}   " for key, value in result.items()), flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sprites", default="sprites.npz")
    parser.add_argument("--model", default="../../models/demo")
    parser.add_argument("--resume", help="folder with parts, evaluated instead of the model folder's weights")
    parser.add_argument("--detector", required=True, help="detector weights: read if the file exists, else trained and written")
    parser.add_argument("--detector-minutes", type=float, default=1.5)
    parser.add_argument("--detector-scenes", type=int, default=65536)
    parser.add_argument("--detector-batch", type=int, default=64)
    parser.add_argument("--captions", type=int, default=300)
    parser.add_argument("--settings", type=int, default=len(SETTINGS), help="how many of the (steps, guidance) pairs to run; 0: only train the detector")
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--workers", type=int, default=16)
    parser.add_argument("--out", help="JSON file for the results")
    args = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(0)
    renderer = Renderer(args.sprites, device)
    if Path(args.detector).exists():
        detector = Detector().to(device).eval()
        detector.load_state_dict({name: tensor.float() for name, tensor in load_file(args.detector).items()})
    else:
        detector = train_detector(renderer, device, args.detector_minutes, args.detector_scenes, args.detector_batch, args.workers)
        save_file({name: tensor.half().contiguous() for name, tensor in detector.state_dict().items()}, args.detector)

    if not args.settings:
        return
    text = Text(args.model)
    tensors, stats = weights.load(args.resume or args.model)
    vae = Vae().to(device).eval()
    vae.load_state_dict(weights.component(tensors, "vae"))
    painter = Painter(text.clip_vocabulary, text.t5_vocabulary).to(device).eval()
    painter.load_state_dict({name: tensor.float() for name, tensor in tensors.items() if not name.startswith("vae.")})

    scenes = held_out_scenes(args.captions)
    arrays = as_arrays(scenes)
    renders = renderer(arrays.size, *arrays.tensors(0, len(scenes), device))[0]
    seen = find(detector, renders)
    for threshold in THRESHOLDS:
        show(f"renders, threshold {threshold}", judge(scenes, *seen, threshold))
    results = {"renders": judge(scenes, *seen)}
    show("renders", results["renders"])
    with torch.no_grad():
        copies = torch.cat([vae.decoder(vae.moments(part)[0]).clamp(-1, 1) for part in renders.split(32)])
    results["renders through the VAE"] = judge(scenes, *find(detector, copies))
    show("renders through the VAE", results["renders through the VAE"])
    tokens = lambda captions: [torch.from_numpy(ids).long().to(device) for ids in text(captions)]
    ids, empty = tokens([scene.captions[0] for scene in scenes]), tokens([""])
    for steps, guidance in SETTINGS[:args.settings]:
        pictures = torch.cat([draw(painter, vae, stats, [i[k:k + args.batch] for i in ids], empty, range(k, min(k + args.batch, len(scenes))), steps, guidance)
                              for k in range(0, len(scenes), args.batch)])
        label = f"{steps} steps, guidance {guidance}"
        results[label] = judge(scenes, *find(detector, pictures))
        show(label, results[label])
    if args.out:
        Path(args.out).write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
