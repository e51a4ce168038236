"""Encoded scenes for training, kept on the GPU and renewed all the time: other processes invent and tokenize, the GPU paints and
encodes. One ring for each picture size."""

import multiprocessing
import random
from collections import deque
from concurrent.futures import ProcessPoolExecutor

import torch

from dataset import invent
from scenes import CAPTIONS, PICTURE
from text import Text

# How often a batch has this size. Sides are multiples of 32, and 512 is the longest.
SIZES = {PICTURE: 0.7, (192, 192): 0.03, (320, 192): 0.03, (192, 320): 0.03, (384, 256): 0.04, (256, 384): 0.04,
         (384, 384): 0.03, (512, 288): 0.02, (288, 512): 0.02, (512, 384): 0.015, (384, 512): 0.015, (512, 512): 0.03}
CAPTION_TOKENS = (32, 48)  # CLIP and T5 tokens that hold nearly every caption of the generator
LABEL_STRIDE = 16   # pixels per image token


def begin_worker(model_folder):
    global text
    text = Text(model_folder)


def prepare(job):
    scenes = invent(job)
    return scenes, text(scenes.captions, *CAPTION_TOKENS)


class Ring:
    def __init__(self, size, capacity, device):
        width, height = size
        on = {"device": device}
        self.capacity, self.filled, self.place = capacity, 0, 0
        self.latents = torch.empty(capacity, 16, height // 8, width // 8, dtype=torch.bfloat16, **on)
        self.labels = torch.empty(capacity, height // LABEL_STRIDE, width // LABEL_STRIDE, dtype=torch.int16, **on)
        lengths = (CAPTION_TOKENS[0], CAPTION_TOKENS[0], CAPTION_TOKENS[1])
        self.ids = [torch.empty(capacity, CAPTIONS, length, dtype=torch.int16, **on) for length in lengths]

    def add(self, latents, labels, ids):
        count = len(latents)
        part = slice(self.place, self.place + count)
        self.latents[part], self.labels[part] = latents, labels
        for held, new in zip(self.ids, ids):
            held[part] = new.view(count, CAPTIONS, -1)
        self.filled = max(self.filled, self.place + count)
        self.place = (self.place + count) % self.capacity

    def batch(self, count):
        """Latents, labels and one caption's ids each, of random scenes."""
        device = self.latents.device
        scene = torch.randint(self.filled, (count,), device=device)
        caption = torch.randint(CAPTIONS, (count,), device=device)
        return self.latents[scene].float(), self.labels[scene].long(), [ids[scene, caption].long() for ids in self.ids]


class Stock:
    def __init__(self, vae, stats, renderer, model_folder, seed, workers, capacity, chunk, ahead=6):
        """capacity: scenes of the usual size; other sizes keep an eighth of it. chunk: scenes that are invented and encoded together."""
        self.vae, self.stats, self.renderer = vae, stats, renderer
        self.chunk = chunk
        round_up = lambda count: max(1, -(-int(count) // chunk)) * chunk
        self.rings = {size: Ring(size, round_up(capacity if size == PICTURE else capacity / 8), renderer.device) for size in SIZES}
        self.pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=begin_worker, initargs=(model_folder,))
        self.seeds, self.ahead = random.Random(seed), ahead
        self.orders = {size: deque() for size in SIZES}
        self.encoded = 0

    def order(self, size):
        while len(self.orders[size]) < self.ahead:
            self.orders[size].append(self.pool.submit(prepare, (self.seeds.getrandbits(48), self.chunk, size)))

    @torch.no_grad()
    def renew(self, size):
        """Puts a chunk of new scenes into the ring of that size."""
        self.order(size)
        scenes, ids = self.orders[size].popleft().result()
        device, width = self.renderer.device, scenes.size[0]
        part = self.chunk if width * scenes.size[1] <= 256 * 256 else max(1, self.chunk // 4)
        latents, labels = [], []
        for start in range(0, self.chunk, part):
            picture, label = self.renderer(scenes.size, *scenes.tensors(start, start + part, device))
            with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
                mean = self.vae.encoder(picture.contiguous(memory_format=torch.channels_last))[:, :16].float()
            latents.append((mean - self.stats["shift_factor"]) * self.stats["scaling_factor"])
            labels.append(label[:, LABEL_STRIDE // 2::LABEL_STRIDE, LABEL_STRIDE // 2::LABEL_STRIDE])
        self.rings[size].add(torch.cat(latents), torch.cat(labels), [torch.from_numpy(i).to(device) for i in ids])
        self.encoded += self.chunk
        self.order(size)

    def end(self):
        self.pool.shutdown(wait=False, cancel_futures=True)
