"""Paints batches of scenes in torch, on the GPU when there is one: procedural backgrounds, then sprites over them."""

import numpy as np
import torch
import torch.nn.functional as F

from objects import CLASS_OF, CLASSES, SPRITES, TINTS
from scenes import BACKGROUNDS

# Each painter gets the light [n,1,1,1] in 0..1, six random numbers [n,6,1,1,1] in 0..1, the coordinates x in 0..w and y in 0..1
# (downwards) as [1,1,H,W], and w, the picture's width over its height. It returns RGB [n,3,H,W] in 0..1.


def colour(r, g, b, like):
    return torch.tensor([r, g, b], device=like.device).view(1, 3, 1, 1) / 255


def mix(a, b, t):
    return a + (b - a) * t


def edge(distance, softness=0.004):
    """1 where distance is negative, 0 where positive, with a thin smooth rim."""
    return torch.sigmoid(-distance / softness)


def disc(x, y, cx, cy, radius):
    return edge(((x - cx) ** 2 + (y - cy) ** 2).sqrt() - radius)


def sky(light, y):
    day = mix(colour(126, 190, 244, y), colour(206, 234, 252, y), y / 0.6)
    bright = mix(colour(110, 200, 255, y), colour(236, 248, 255, y), y / 0.6)
    dim = mix(colour(44, 52, 104, y), colour(232, 140, 110, y), (y / 0.62).clamp(max=1))
    return torch.where(light > 0.75, bright, torch.where(light < 0.25, dim, day.expand_as(bright)))


def lit(picture, light):
    """Darkens what lies below a dim sky, lifts it below a bright one."""
    return (picture * torch.where(light < 0.25, 0.62, torch.where(light > 0.75, 1.12, 1.0))).clamp(max=1)


def stars(x, y, w, seeds, count):
    glow = torch.zeros_like(x + seeds[:, 0])
    for k in range(count):
        sx = (seeds[:, k % 6] * (7.31 + k) + 0.37 * k) % 1 * w
        sy = (seeds[:, (k + 2) % 6] * (5.17 + k) + 0.61 * k) % 1
        glow = torch.maximum(glow, torch.exp(-((x - sx) ** 2 + (y - sy) ** 2) / 0.00003))
    return glow


def park(light, u, x, y, w):
    horizon = 0.56 + 0.05 * (u[:, 0] - 0.5)
    picture = sky(light, y)
    for k in range(5):  # a row of bushes and round trees along the horizon
        cx, radius = ((k + u[:, 1]) / 4.6 - 0.05) * w, 0.10 + 0.05 * torch.sin(9 * u[:, 2] + 2.1 * k)
        picture = mix(picture, lit(colour(86, 160, 84, y), light), disc(x, y, cx, horizon - 0.03, radius))
    grass = lit(mix(colour(130, 200, 96, y), colour(90, 170, 70, y), (y - 0.55) / 0.45), light)
    picture = mix(picture, grass, edge(horizon - y))
    path = edge((x - (0.3 + 0.4 * u[:, 3]) * w + 0.3 * (y - 0.8)).abs() - 0.22 * (y - horizon))
    return mix(picture, lit(colour(226, 206, 166, y), light), path * edge(horizon - y) * 0.8)


def beach(light, u, x, y, w):
    horizon, shore = 0.42 + 0.06 * (u[:, 0] - 0.5), 0.64 + 0.02 * torch.sin(7 * x + 6 * u[:, 1])
    sea = lit(mix(colour(40, 120, 190, y), colour(90, 200, 210, y), (y - 0.42) / 0.24), light)
    picture = mix(sky(light, y), sea, edge(horizon - y))
    picture = mix(picture, colour(245, 250, 250, y), edge(shore - 0.015 - y))
    return mix(picture, lit(mix(colour(240, 216, 160, y), colour(224, 194, 132, y), y), light), edge(shore - y))


def night(light, u, x, y, w):
    picture = mix(colour(12, 16, 48, y), colour(48, 56, 116, y), y / 0.75)
    picture = picture + stars(x, y * 1.35, w, u, 16).clamp(max=1) * 0.9
    hill = 0.78 + 0.03 * torch.sin(5 * x + 6 * u[:, 0])
    return mix(picture.clamp(max=1), colour(26, 46, 44, y), edge(hill - y))


def room(light, u, x, y, w):
    wall = torch.where(u[:, 0] < 0.33, colour(238, 222, 190, y), torch.where(u[:, 0] < 0.66, colour(196, 216, 226, y), colour(214, 226, 196, y)))
    floor_line = 0.76
    picture = wall.expand(-1, -1, *x.shape[-2:])
    wx = torch.where(u[:, 1] < 0.5, 0.2, 0.8) * w
    frame = edge(torch.maximum((x - wx).abs() - 0.13, (y - 0.26).abs() - 0.15))
    glass = edge(torch.maximum(((x - wx).abs() - 0.06).abs() - 0.05, ((y - 0.26).abs() - 0.07).abs() - 0.06))
    picture = mix(mix(picture, colour(250, 250, 248, y), frame), colour(150, 206, 246, y), glass)
    boards = 0.94 + 0.06 * edge(((x * 8 + (y - floor_line) * (x - 0.5 * w) * 8) % 1 - 0.5).abs() - 0.46, 0.01)
    picture = mix(picture, colour(186, 136, 92, y) * boards, edge(floor_line - y))
    return mix(picture, colour(250, 248, 240, y), edge((y - floor_line).abs() - 0.012))


def underwater(light, u, x, y, w):
    picture = mix(colour(70, 180, 226, y), colour(14, 74, 146, y), y)
    for k in range(6):  # bubbles
        cx, cy = (u[:, k] * 3.7 + 0.31 * k) % 1 * w, (u[:, (k + 1) % 6] * 2.9 + 0.17 * k) % 1
        ring = ((x - cx) ** 2 + (y - cy) ** 2).sqrt()
        picture = mix(picture, colour(210, 240, 255, y), edge((ring - 0.018).abs() - 0.004) * 0.7)
    return mix(picture, colour(226, 200, 140, y), edge(0.88 + 0.02 * torch.sin(8 * x + 6 * u[:, 0]) - y))


def snow(light, u, x, y, w):
    hill = 0.6 + 0.05 * torch.sin(4 * x + 6 * u[:, 0])
    ground = lit(mix(colour(250, 252, 255, y), colour(216, 228, 242, y), (y - 0.6) / 0.4), light)
    picture = mix(mix(sky(light, y), colour(200, 212, 226, y), 0.5), ground, edge(hill - y))
    return mix(picture, colour(255, 255, 255, y), stars(x, y, w, u, 18))


def desert(light, u, x, y, w):
    far, near = 0.6 + 0.06 * torch.sin(5 * x + 6 * u[:, 0]), 0.72 + 0.05 * torch.sin(4 * x + 6 * u[:, 1])
    picture = mix(sky(light, y), lit(colour(236, 186, 110, y), light), edge(far - y))
    return mix(picture, lit(colour(222, 164, 86, y), light), edge(near - y))


def forest(light, u, x, y, w):
    picture = lit(mix(colour(150, 200, 130, y), colour(60, 120, 66, y), y / 0.7), light)
    for k in range(6):
        cx = (k + 0.2 + 0.6 * u[:, k]) / 6 * w
        picture = mix(picture, lit(colour(96, 70, 50, y), light), edge((x - cx).abs() - 0.024) * edge(y - 0.74))
        picture = mix(picture, lit(colour(50, 128 + 8 * k, 62, y), light), disc(x, y, cx, 0.16 + 0.1 * u[:, (k + 1) % 6], 0.13))
    return mix(picture, lit(colour(92, 112, 56, y), light), edge(0.74 - y))


def street(light, u, x, y, w):
    picture = sky(light, y)
    for k in range(5):
        left, top = k / 5 * w, 0.14 + 0.3 * ((u[:, k] * 3.3 + 0.2 * k) % 1)
        wall = colour((176, 150, 196, 140, 206)[k], (120, 150, 170, 160, 180)[k], (100, 170, 150, 180, 140)[k], y)
        inside = edge(torch.maximum((x - left - 0.1 * w).abs() - 0.096 * w, top - y)) * edge(y - 0.7)
        windows = edge(torch.maximum(((x / w * 15) % 1 - 0.5).abs() - 0.24, ((y * 11) % 1 - 0.5).abs() - 0.26), 0.03) * inside
        picture = mix(mix(picture, lit(wall, light), inside), torch.where(light < 0.25, colour(255, 226, 130, y), colour(210, 232, 246, y)), windows * 0.8)
    picture = mix(picture, lit(colour(178, 178, 180, y), light), edge(0.7 - y))
    picture = mix(picture, lit(colour(86, 88, 94, y), light), edge(0.76 - y))
    dashes = edge(torch.maximum(((x * 5 + u[:, 5]) % 1 - 0.5).abs() - 0.28, ((y - 0.93).abs() - 0.008) * 5), 0.02)
    return mix(picture, colour(240, 236, 220, y), dashes)


def sunset(light, u, x, y, w):
    picture = mix(colour(96, 60, 140, y), colour(255, 150, 80, y), (y / 0.62).clamp(max=1))
    picture = mix(picture, colour(255, 224, 130, y), disc(x, y, (0.3 + 0.4 * u[:, 0]) * w, 0.56, 0.12))
    water = mix(colour(214, 110, 90, y), colour(60, 44, 100, y), (y - 0.62) / 0.38)
    return mix(picture, water, edge(0.62 - y))


def mountains(light, u, x, y, w):
    picture = sky(light, y)
    for k in range(3):
        peak_x, peak_y = (0.14 + 0.36 * k + 0.1 * (u[:, k] - 0.5)) * w, 0.2 + 0.14 * u[:, k + 3]
        slope = peak_y + (x - peak_x).abs() * 1.3 - y
        picture = mix(picture, lit(colour(120, 130, 152, y), light), edge(slope))
        picture = mix(picture, lit(colour(248, 250, 254, y), light), edge(slope) * edge(y - peak_y - 0.09 - 0.02 * torch.sin(50 * x)))
    return mix(picture, lit(mix(colour(126, 176, 96, y), colour(84, 140, 70, y), (y - 0.66) / 0.34), light), edge(0.66 - y))


def meadow(light, u, x, y, w):
    picture = mix(sky(light, y), lit(colour(118, 190, 84, y), light), edge(0.52 + 0.03 * torch.sin(4 * x + 6 * u[:, 0]) - y))
    for k in range(14):
        cx, cy = (u[:, k % 6] * 4.3 + 0.29 * k) % 1 * w, 0.58 + 0.4 * ((u[:, (k + 3) % 6] * 3.1 + 0.23 * k) % 1)
        tint = ((250, 220, 70), (244, 120, 160), (250, 250, 250))[k % 3]
        picture = mix(picture, lit(colour(*tint, y), light), disc(x, y, cx, cy, 0.013))
    return picture


def space(light, u, x, y, w):
    picture = mix(colour(8, 8, 22, y), colour(36, 16, 58, y), (x * u[:, 0] + y * u[:, 1]) / 2)
    return (picture + stars(x, y, w, u, 22)).clamp(max=1)


PAINTERS = {"park": park, "beach": beach, "night": night, "room": room, "underwater": underwater, "snow": snow, "desert": desert,
            "forest": forest, "street": street, "sunset": sunset, "mountains": mountains, "meadow": meadow, "space": space}


def tinted(rgba, tint, gain):
    """Premultiplied RGBA whose colourful share takes on another colour; dark outlines and white lights stay. tint [n,3], gain [n]."""
    rgb = rgba[:, :3]
    gray = rgb.amin(1, keepdim=True)
    strength = ((rgb.amax(1, keepdim=True) - gray) * gain[:, None, None, None]).clamp(max=1)
    gray = gray.minimum(rgba[:, 3:] - strength)
    return torch.cat([(gray * (0.55 + 0.45 * tint.amin(1)[:, None, None, None]) + strength * tint[:, :, None, None]).clamp(max=1), rgba[:, 3:]], 1)


def class_of_sprite():
    """Seated people and recoloured fish count as what they are."""
    base = lambda name: name if name in CLASS_OF else name.rsplit(" ", 1)[0]
    return torch.tensor([CLASS_OF[base(name)] for name in SPRITES])


class Renderer:
    def __init__(self, sprite_file: str, device):
        rgba = torch.from_numpy(np.load(sprite_file)["sprites"]).to(device).permute(0, 3, 1, 2).float() / 255
        rgba[:, :3] *= rgba[:, 3:]  # premultiplied, so that resampling leaves no dark rims
        # Halved copies: sampling a large sprite into few pixels would alias.
        self.pyramid = [rgba]
        while len(self.pyramid) < 4:
            self.pyramid.append(F.avg_pool2d(self.pyramid[-1], 2))
        small = self.pyramid[-1][:, :3]
        # Pale things, too, take on the full colour.
        self.gain = 1 / (small.amax(1) - small.amin(1)).flatten(1).quantile(0.97, dim=1).clamp(min=0.3)
        self.tints = torch.tensor([(0.0, 0.0, 0.0), *TINTS.values()], device=device)
        self.classes = class_of_sprite().to(device)
        self.device = device

    @torch.no_grad()
    def __call__(self, size, background, look, slots, slot_count):
        """size (width, height), background [B], look [B,8], slots [B,K,6], slot_count [B], all tensors on the device ->
        RGB [B,3,H,W] in -1..1, and [B,H,W]: the class that covers a pixel, or len(CLASSES) + background."""
        width, height = size
        axis = lambda count: (torch.arange(count, device=self.device) + 0.5)
        px, py = axis(width).view(1, 1, -1).expand(1, height, -1), axis(height).view(1, -1, 1).expand(1, -1, width)
        x, y, w = px[None] / height, py[None] / height, width / height
        picture = torch.empty(len(background), 3, height, width, device=self.device)
        for index, name in enumerate(BACKGROUNDS):
            chosen = (background == index).nonzero()[:, 0]
            if not len(chosen):
                continue
            values = look[chosen]
            if name == "plain":
                shade = 1 + 0.06 * (y - 0.5) * (values[:, 3].view(-1, 1, 1, 1) - 0.5)
                picture[chosen] = values[:, :3, None, None] * shade
            else:
                picture[chosen] = PAINTERS[name](values[:, 0].view(-1, 1, 1, 1), values[:, 2:].view(-1, 6, 1, 1, 1), x, y, w)
        labels = (len(CLASSES) + background.short())[:, None, None].expand(-1, height, width).clone()
        for k in range(slots.shape[1]):
            self.paste(picture, labels, slots[:, k], slot_count > k, px, py)
        return picture.clamp(0, 1) * 2 - 1, labels

    def paste(self, picture, labels, slot, present, px, py):
        size = slot[:, 3:5].amax(1)
        for level, (low, high) in enumerate(((168, 1e9), (84, 168), (42, 84), (0, 42))):
            chosen = (present & (size >= low) & (size < high)).nonzero()[:, 0]
            if not len(chosen):
                continue
            sprite, cx, cy, width, height, tint = (column.view(-1, 1, 1) for column in slot[chosen].unbind(1))
            grid = torch.stack(torch.broadcast_tensors((px - cx) / width * 2, (py - cy) / height * 2), -1)
            sprite, tint = sprite.view(-1).long(), tint.view(-1).long()
            source = self.pyramid[level][sprite]
            source = torch.where((tint > 0).view(-1, 1, 1, 1), tinted(source, self.tints[tint], self.gain[sprite]), source)
            rgba = F.grid_sample(source, grid, align_corners=False)
            picture[chosen] = rgba[:, :3] + picture[chosen] * (1 - rgba[:, 3:])
            labels[chosen] = torch.where(rgba[:, 3] > 0.5, self.classes[sprite].short().view(-1, 1, 1), labels[chosen])
