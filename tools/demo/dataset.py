"""Scenes as arrays: invented by all CPU cores, rendered in batches."""

import random
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch

from scenes import CAPTIONS, MAX_SLOTS, PICTURE, Scene, make_scene


@dataclass
class Scenes:
    """Many scenes of one picture size."""
    size: tuple[int, int]   # width, height
    background: np.ndarray  # [n]
    look: np.ndarray        # [n,8]
    slots: np.ndarray       # [n,MAX_SLOTS,6]
    slot_count: np.ndarray  # [n]
    captions: list[str]     # CAPTIONS per scene

    def __len__(self):
        return len(self.background)

    def tensors(self, start, stop, device):
        arrays = (self.background, self.look, self.slots, self.slot_count)
        return [torch.from_numpy(a[start:stop]).to(device, non_blocking=True) for a in arrays]


def as_arrays(scenes: list[Scene]) -> Scenes:
    n = len(scenes)
    slots = np.zeros((n, MAX_SLOTS, 6), np.float32)
    for i, scene in enumerate(scenes):
        slots[i, :len(scene.slots)] = scene.slots
    return Scenes((scenes[0].width, scenes[0].height), np.array([s.background for s in scenes]), np.array([s.look for s in scenes], np.float32),
                  slots, np.array([len(s.slots) for s in scenes]), [c for s in scenes for c in s.captions[:CAPTIONS]])


def invent(job) -> Scenes:
    seed, count, size = job
    rng = random.Random(seed)
    return as_arrays([make_scene(rng, size=size) for _ in range(count)])


def make_scenes(count: int, seed: int, workers: int, size=PICTURE) -> Scenes:
    jobs = [(seed * 100003 + k, -(-count // (workers * 4)), size) for k in range(workers * 4)]
    with ProcessPoolExecutor(workers) as pool:
        parts = list(pool.map(invent, jobs))
    join = lambda name: np.concatenate([getattr(p, name) for p in parts])
    return Scenes(size, join("background"), join("look"), join("slots"), join("slot_count"), [c for p in parts for c in p.captions])


def render_all(scenes: Scenes, renderer, batch: int):
    """Yields RGB batches in -1..1, on the renderer's device."""
    for start in range(0, len(scenes), batch):
        yield renderer(scenes.size, *scenes.tensors(start, start + batch, renderer.device))[0]
