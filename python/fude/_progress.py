"""A progress bar of tqdm."""

from __future__ import annotations

from typing import Any

from ._engine import Progress


class ProgressBar:
    """For Engine.generate(progress=...): the steps of all pictures. Needs tqdm; options are tqdm's."""

    def __init__(self, **options: Any) -> None:
        from tqdm.auto import tqdm

        self._bar: Any = tqdm(**{"unit": "step", **options})

    def __call__(self, at: Progress) -> None:
        if at.stage != "denoise":
            return
        self._bar.total = at.pictures * at.steps
        self._bar.update(at.picture * at.steps + at.step - self._bar.n)

    def close(self) -> None:
        self._bar.close()

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
