#!/usr/bin/env python3
"""Fits the colours of previews to a model: "latent_rgb" of its fude.json, from traces of pictures that were drawn with it.

    for i in 1 2 3 4 5; do fude generate "a bright park" --seed $i --model MODEL --trace $i.safetensors; done
    python3 tools/latent_rgb.py *.safetensors

The colour of a latent is the mean of the pixels it becomes, a linear function of its channels: least squares over all latents of
all pictures. Twenty pictures of many colours are enough. Needs Python's standard library only.
"""

import json
import struct
import sys


def tensors(path):
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data = file.read()
    return {
        name: (entry["shape"], data[slice(*entry["data_offsets"])]) for name, entry in header.items() if name != "__metadata__"
    }


def floats(entry):
    shape, raw = entry
    return shape, struct.unpack(f"<{len(raw) // 4}f", raw)


def samples(path):
    """(channels and a 1, red, green, blue) of each latent of one trace."""
    trace = tensors(path)
    last = max(name for name in trace if name.startswith("latents."))
    (_, channels, height, width), latents = floats(trace[last])
    (_, _, rows, columns), pixels = floats(trace["decoded"])
    scale = rows // height
    for y in range(height):
        for x in range(width):
            values = [latents[(c * height + y) * width + x] for c in range(channels)] + [1.0]
            color = []
            for plane in range(3):
                total = 0.0
                for row in range(y * scale, (y + 1) * scale):
                    begin = (plane * rows + row) * columns + x * scale
                    total += sum(max(-1.0, min(1.0, value)) for value in pixels[begin : begin + scale])
                color.append(total / scale**2)
            yield values, color


def solve(matrix, right):
    """Gauss with pivots: matrix [n, n], right [n, 3] -> [n, 3]."""
    n = len(matrix)
    rows = [matrix[i] + right[i] for i in range(n)]
    for i in range(n):
        pivot = max(range(i, n), key=lambda row: abs(rows[row][i]))
        rows[i], rows[pivot] = rows[pivot], rows[i]
        for j in range(n):
            if j != i:
                factor = rows[j][i] / rows[i][i]
                rows[j] = [a - factor * b for a, b in zip(rows[j], rows[i])]
    return [[value / rows[i][i] for value in rows[i][n:]] for i in range(n)]


def main():
    all_samples = [sample for path in sys.argv[1:] for sample in samples(path)]
    n = len(all_samples[0][0])
    squares = [[0.0] * n for _ in range(n)]
    products = [[0.0] * 3 for _ in range(n)]
    for values, color in all_samples:
        for i in range(n):
            for j in range(n):
                squares[i][j] += values[i] * values[j]
            for c in range(3):
                products[i][c] += values[i] * color[c]
    fitted = solve(squares, products)
    error = sum(
        (color[c] - sum(values[i] * fitted[i][c] for i in range(n))) ** 2 for values, color in all_samples for c in range(3)
    )
    levels = 127.5 * (error / (3 * len(all_samples))) ** 0.5
    print(f"{len(all_samples)} latents, {levels:.1f} of 255 levels apart (root mean square)", file=sys.stderr)
    print('"latent_rgb": ' + json.dumps([[round(value, 4) for value in row] for row in fitted]))


if __name__ == "__main__":
    main()
