#!/usr/bin/env python3
"""Writes tests/fixtures/pipeline.npz: what diffusers draws with the demo model for the calls that tests/python/pipeline_tests.py makes.

    python tools/export_pipeline_goldens.py    # with the packages of tools/requirements.txt
"""

import pathlib
import sys

import numpy as np
import torch
from diffusers import StableDiffusion3Pipeline

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / "tests" / "python"))

from pipeline_calls import CALLS, arguments_of  # noqa: E402

pipe = StableDiffusion3Pipeline.from_pretrained(REPOSITORY / "models" / "demo", torch_dtype=torch.float32)
pipe.set_progress_bar_config(disable=True)
pictures = {name: np.stack(pipe(**arguments_of(name, torch.Generator)).images) for name in CALLS}
np.savez_compressed(REPOSITORY / "tests" / "fixtures" / "pipeline.npz", **pictures)
for name, picture in pictures.items():
    print(name, picture.shape)
