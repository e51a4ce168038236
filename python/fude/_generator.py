"""Random numbers as torch draws them, where torch is not installed."""

from __future__ import annotations

import math
import secrets
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from . import _library as c
from ._library import Handle

_NOISE = {"f32": "torch-cpu", "f16": "torch-cpu-f16", "bf16": "torch-cpu-bf16"}


class Generator:
    """A torch.Generator on the CPU: the same numbers for the same seed, and each draw goes on where the one before ended.

    Without a seed it has a random one. One thread at a time.
    """

    def __init__(self, seed: int | None = None) -> None:
        self.manual_seed(secrets.randbits(53) if seed is None else seed)

    def manual_seed(self, seed: int) -> Generator:
        """Begins anew; 0 to 2**64 - 1, negative seeds count from there."""
        self._seed = seed % 2**64
        self._handle = Handle(c.made("fude_generator_new", self._seed), "fude_generator_free")
        return self

    def initial_seed(self) -> int:
        return self._seed

    def randn(self, shape: Sequence[int], dtype: str = "f32") -> npt.NDArray[np.float32]:
        """Normal numbers, the bits of torch.randn(shape, generator, dtype): "f32", "f16" or "bf16", each exact in the float32 array.

        Error: bad_request for fewer than 16 numbers.
        """
        values = np.empty(tuple(shape), np.float32)
        c.call("fude_generator_randn", self._handle, _NOISE[dtype].encode(), values.ctypes.data, math.prod(shape))
        return values
