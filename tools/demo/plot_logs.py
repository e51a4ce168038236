"""Draws the loss curves of training logs as an SVG: plot_logs.py loss.svg logs/*.txt"""

import re
import sys
from pathlib import Path

WIDTH, HEIGHT, LEFT, BOTTOM = 420, 240, 48, 36
COLOURS = ("#1b6ca8", "#c2541b", "#3a8a4d", "#7a4aa0", "#8a6d1b", "#a83a5b")
PANELS = (("VAE: PSNR, dB", re.compile(r"^vae step (\d+) .* PSNR ([\d.]+)")), ("text encoders and transformer", re.compile(r"^\[.*\] step (\d+) .* loss ([\d.]+)")))


def panel(title, runs, x0):
    """One set of axes, all runs over their own steps."""
    most = max(step for _, points in runs for step, _ in points)
    top = 1.1 * max(sorted(loss for _, points in runs for _, loss in points)[:-3])  # the very first losses would flatten the rest
    place = lambda step, loss: f"{x0 + LEFT + step / most * (WIDTH - LEFT - 12):.1f},{HEIGHT - BOTTOM - min(loss / top, 1) * (HEIGHT - BOTTOM - 30):.1f}"
    parts = [f'<text x="{x0 + LEFT}" y="18" font-weight="bold">{title}</text>',
             f'<path d="M{place(0, top)} L{place(0, 0)} L{place(most, 0)}" fill="none" stroke="#888"/>',
             f'<text x="{x0 + WIDTH - 12}" y="{HEIGHT - 18}" text-anchor="end">{most} steps</text>',
             f'<text x="{x0 + LEFT - 6}" y="{HEIGHT - BOTTOM}" text-anchor="end">0</text>',
             f'<text x="{x0 + LEFT - 6}" y="36" text-anchor="end">{top:.2f}</text>']
    for k, (name, points) in enumerate(runs):
        colour = COLOURS[k % len(COLOURS)]
        parts.append(f'<polyline points="{" ".join(place(*p) for p in points)}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(f'<text x="{x0 + WIDTH - 12}" y="{40 + 16 * k}" text-anchor="end" fill="{colour}">{name}: {points[-1][1]:.4f}</text>')
    return parts


def main():
    target, *logs = sys.argv[1:]
    parts = []
    for k, (title, pattern) in enumerate(PANELS):
        runs = [(Path(log).stem, [(int(m[1]), float(m[2])) for m in map(pattern.match, Path(log).read_text().splitlines()) if m]) for log in logs]
        parts += panel(title, [run for run in runs if run[1]], k * WIDTH)
    Path(target).write_text(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH * len(PANELS)} {HEIGHT}" font-family="sans-serif" font-size="11">\n'
                            f'<rect width="100%" height="100%" fill="white"/>\n' + "\n".join(parts) + "\n</svg>\n")


if __name__ == "__main__":
    main()
