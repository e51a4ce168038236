"""fude draws pictures with Stable Diffusion 3.5.

    import fude

    engine = fude.Engine("path/to/stable-diffusion-3.5-medium")
    image = engine.generate("a capybara in a hot spring", seed=7).images[0]
    image.save("capybara.png")    # with its request
    image.rgb                     # uint8 [height, width, 3]

Every failure is a fude.Error. Strings are text, sizes pixels, memory bytes, time seconds. fude never downloads anything.
"""

from ._engine import (DEMO_MODEL, Embeddings, Engine, Image, LogEntry, Preview, Progress, Result, StepLatents, Stop, devices, hub_cache, load_request,
                      request_fields)
from ._generator import Generator
from ._library import Error
from ._library import library as _c
from ._pipeline import StableDiffusion3Pipeline, StableDiffusion3PipelineOutput
from ._progress import ProgressBar

__version__: str = _c.fude_version().decode()

__all__ = ["DEMO_MODEL", "Embeddings", "Engine", "Error", "Generator", "Image", "LogEntry", "Preview", "Progress", "ProgressBar", "Result", "StableDiffusion3PipelineOutput",
           "StableDiffusion3Pipeline", "StepLatents", "Stop", "devices", "hub_cache", "load_request", "request_fields"]
