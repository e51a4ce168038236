"""Engine, and what it takes and gives."""

from __future__ import annotations

import ctypes
import json
import os
import pathlib
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from . import _library as c
from ._library import Error, Handle, library

if TYPE_CHECKING:
    import PIL.Image

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

DEMO_MODEL = pathlib.Path(__file__).resolve().parent / "demo"


class Progress(NamedTuple):
    """Where a call is. Within "load" and "encode" step counts blocks, within "denoise" steps of this picture, within "decode" its tiles."""

    stage: str
    picture: int
    pictures: int
    step: int
    steps: int


class Preview(NamedTuple):
    """What a picture will roughly look like: uint8 [height/8, width/8, 3]."""

    at: Progress
    rgb: Pixels


class StepLatents(NamedTuple):
    """Latents after a step, of the pictures that are drawn at once: float32 [pictures, channels, height/8, width/8], valid during the call.
    They go on as what is written into them. timestep: 0 to 1000, where the model was asked."""

    at: Progress
    timestep: float
    latents: Floats


class LogEntry(NamedTuple):
    """What the library does. level: "debug", "info" or "warning"; bytes and seconds are 0 where they are not known."""

    level: str
    event: str
    text: str
    bytes: int
    seconds: float


class Stop:
    """Ends a call early: set() may be called from any thread at any time; the call then raises Error with code "cancelled"."""

    def __init__(self) -> None:
        self._handle = Handle(c.made("fude_stop_new"), "fude_stop_free")

    def set(self) -> None:
        library.fude_stop_set(self._handle)

    def clear(self) -> None:
        """Lets it be used again."""
        library.fude_stop_clear(self._handle)


class _View:
    """Memory of a handle, which lives as long as the arrays that look at it."""

    def __init__(self, handle: Handle, address: int, shape: tuple[int, ...], kind: str) -> None:
        self._handle = handle
        self.__array_interface__ = {"version": 3, "shape": shape, "typestr": kind, "data": (address, True)}


def _array(handle: Handle, address: int | None, shape: tuple[int, ...], kind: str) -> Any:
    return np.asarray(_View(handle, address or 0, shape, kind)) if address else np.zeros(0, kind)


class Image:
    """A picture. Its arrays are read-only, not copied, and keep their memory alive; any thread may read them."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self.details: dict[str, Any] = json.loads(library.fude_image_json(handle))
        self.seed: int = self.details["seed"]

    @property
    def width(self) -> int:
        """Pixels."""
        return int(library.fude_image_width(self._handle))

    @property
    def height(self) -> int:
        """Pixels."""
        return int(library.fude_image_height(self._handle))

    @property
    def rgb(self) -> Pixels:
        """uint8 [height, width, 3]."""
        pixels: Pixels = _array(self._handle, library.fude_image_rgb(self._handle), (self.height, self.width, 3), "|u1")
        return pixels

    def _latents(self, function: str) -> Floats:
        shape = (ctypes.c_int64 * 3)()
        address = getattr(library, function)(self._handle, shape)
        values: Floats = _array(self._handle, address, tuple(shape), "<f4")
        return values

    @property
    def latents(self) -> Floats:
        """float32 [channels, height/8, width/8]: what was decoded."""
        return self._latents("fude_image_latents")

    @property
    def noise(self) -> Floats:
        """float32 [channels, height/8, width/8]: what it began as."""
        return self._latents("fude_image_noise")

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.array(self.rgb, dtype=dtype) if copy or dtype is not None else self.rgb

    def pil(self) -> PIL.Image.Image:
        """As a picture of Pillow, which must be installed. Its save() does not write the request; save() here does."""
        import PIL.Image

        return PIL.Image.fromarray(self.rgb)

    def save(self, path: str | os.PathLike[str]) -> None:
        """A PNG that holds its request, so that fude draws it again. It appears whole or not at all. Error: io."""
        c.call("fude_image_save_png", self._handle, os.fsencode(path))

    def png(self) -> bytes:
        """The bytes that save() writes."""
        address, size = ctypes.c_void_p(), ctypes.c_size_t()
        c.call("fude_image_encode_png", self._handle, ctypes.byref(address), ctypes.byref(size))
        try:
            return ctypes.string_at(address, size.value)
        finally:
            library.fude_bytes_free(address)

    def _repr_png_(self) -> bytes:
        return self.png()


class Embeddings:
    """What the text encoders make of a prompt, and of a negative prompt where guidance is on.

    prompt_embeds and negative_prompt_embeds are float32 [tokens, width], the pooled ones float32 [pooled_width]; both negative ones may
    be left out. Error: bad_request where the shapes contradict each other, or are none that embeddings have.
    """

    def __init__(self, prompt_embeds: npt.ArrayLike, pooled_prompt_embeds: npt.ArrayLike, negative_prompt_embeds: npt.ArrayLike | None = None,
                 negative_pooled_prompt_embeds: npt.ArrayLike | None = None) -> None:
        given = [None if each is None else np.ascontiguousarray(each, np.float32)
                 for each in (prompt_embeds, pooled_prompt_embeds, negative_prompt_embeds, negative_pooled_prompt_embeds)]
        prompt, pooled, negative, negative_pooled = given
        assert prompt is not None and pooled is not None
        if prompt.ndim != 2 or pooled.ndim != 1:
            raise Error(f"embeddings are [tokens, width] and [pooled_width], not {list(prompt.shape)} and {list(pooled.shape)}", field="embeddings")
        for name, own, like in (("negative_prompt_embeds", negative, prompt), ("negative_pooled_prompt_embeds", negative_pooled, pooled)):
            if own is not None and own.shape != like.shape:
                raise Error(f"{name} are {list(own.shape)}, and those of the prompt {list(like.shape)}", field="embeddings")
        pointers = [None if each is None else each.ctypes.data for each in (prompt, pooled, negative, negative_pooled)]
        self._handle = Handle(c.made("fude_embeddings_new", *prompt.shape, *pooled.shape, *pointers), "fude_embeddings_free")

    @classmethod
    def _of(cls, pointer: ctypes.c_void_p) -> Embeddings:
        own = cls.__new__(cls)
        own._handle = Handle(pointer, "fude_embeddings_free")
        return own

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Embeddings:
        """From a safetensors file with diffusers' names. Error: io, bad_request."""
        return cls._of(c.made("fude_embeddings_load", os.fsencode(path)))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Into such a file, which appears whole or not at all. Error: io."""
        c.call("fude_embeddings_save", self._handle, os.fsencode(path))

    def _values(self, name: str) -> Floats | None:
        shape = (ctypes.c_int64 * 3)()
        library.fude_embeddings_shape(self._handle, shape)
        address = library.fude_embeddings_values(self._handle, name.encode())
        if not address:
            return None
        values: Floats = _array(self._handle, address, (shape[2],) if "pooled" in name else (shape[0], shape[1]), "<f4")
        return values

    @property
    def prompt_embeds(self) -> Floats:
        """float32 [tokens, width], not copied."""
        values = self._values("prompt_embeds")
        assert values is not None
        return values

    @property
    def pooled_prompt_embeds(self) -> Floats:
        """float32 [pooled_width], not copied."""
        values = self._values("pooled_prompt_embeds")
        assert values is not None
        return values

    @property
    def negative_prompt_embeds(self) -> Floats | None:
        """float32 [tokens, width], not copied; None: there is no negative prompt."""
        return self._values("negative_prompt_embeds")

    @property
    def negative_pooled_prompt_embeds(self) -> Floats | None:
        """float32 [pooled_width], not copied; None: there is no negative prompt."""
        return self._values("negative_pooled_prompt_embeds")


class Result:
    """images: the pictures of all requests. details: of each request device, dtype, seconds, planned_bytes, used_bytes, request."""

    def __init__(self, handle: Handle) -> None:
        count = library.fude_result_count(handle)
        self.images = [_copied(library.fude_result_image(handle, i)) for i in range(count)]
        self.details: list[dict[str, Any]] = json.loads(library.fude_result_json(handle))


def _copied(pointer: int) -> Image:
    return Image(Handle(c.made("fude_image_copy", pointer), "fude_image_free"))


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):  # of numpy
        return value.tolist()
    raise TypeError(f"{value!r} is no value of a request")


def _request(fields: Mapping[str, Any], embeddings: Embeddings | None = None, latents: npt.ArrayLike | None = None) -> Handle:
    request = Handle(c.made("fude_request_new"), "fude_request_free")
    c.call("fude_request_set_json", request, json.dumps(dict(fields), default=_plain).encode())
    if embeddings is not None:
        c.call("fude_request_set_embeddings", request, embeddings._handle)
    if latents is not None:
        values = np.ascontiguousarray(latents, np.float32)
        c.call("fude_request_set_latents", request, values.ctypes.data, values.size)
    return request


def _at(progress: Any) -> Progress:
    return Progress(progress.stage.decode(), progress.picture, progress.pictures, progress.step, progress.steps)


def _caller() -> int:
    """How many frames above its caller the code that called this package is, as warnings count them."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_code.co_filename.startswith(str(pathlib.Path(__file__).parent)):
        frame, level = frame.f_back, level + 1
    return level


class _Listener:
    """Callbacks of a call. What one of them raises ends the call, and is raised again where it was made. So is Ctrl-C."""

    def __init__(self, progress: Callable[[Progress], object] | None = None, preview: Callable[[Preview], object] | None = None,
                 preview_every: int = 1, finished: Callable[[Image], object] | None = None, step: Callable[[StepLatents], object] | None = None,
                 stop: Stop | None = None) -> None:
        self.raised: BaseException | None = None
        self._stop = stop or Stop()
        self._said: list[str] = []

        def guarded(work: Callable[..., object]) -> Callable[..., None]:
            def act(_user: Any, *arguments: Any) -> None:
                try:
                    if self.raised is None:
                        work(*arguments)
                except BaseException as raised:  # noqa: B902: whatever it is, it may not go through C
                    self.raised = raised
                    self._stop.set()

            return act

        def tell(at: Any) -> None:  # without anybody to tell it still lets Ctrl-C through
            if progress:
                progress(_at(at.contents))

        def show(shown: Any) -> None:
            view = ctypes.string_at(shown.contents.rgb, shown.contents.width * shown.contents.height * 3)
            pixels: Pixels = np.frombuffer(view, np.uint8).reshape(shown.contents.height, shown.contents.width, 3)
            if preview:
                preview(Preview(_at(shown.contents.at), pixels))

        def hand_over(image: int) -> None:
            if finished:
                finished(_copied(image))

        def hand_out(at: Any, timestep: float, values: Any, shape: Any) -> None:
            latents: Floats = np.ctypeslib.as_array(values, tuple(shape[:4]))
            if step:
                step(StepLatents(_at(at.contents), timestep, latents))

        self.callbacks = c.Callbacks(size=ctypes.sizeof(c.Callbacks), preview_every=preview_every, stop=self._stop._handle._as_parameter_,
                                     progress=c.PROGRESS(guarded(tell)),
                                     warning=c.WARNING(guarded(lambda text, _json: self._said.append(text.decode()))))
        if preview:
            self.callbacks.preview = c.PREVIEW(guarded(show))
        if step:
            self.callbacks.step = c.STEP(guarded(hand_out))
        if finished:
            self.callbacks.finished = c.FINISHED(guarded(hand_over))

    def made(self, function: str, *arguments: Any) -> ctypes.c_void_p:
        try:
            return c.made(function, *arguments, ctypes.byref(self.callbacks))
        except Error:
            if self.raised is None:
                raise
            self._stop.clear()  # it was set here
            raise self.raised from None
        finally:
            for text in self._said:
                warnings.warn(text, stacklevel=_caller())


class Engine:
    """A model on a device.

    model: a diffusers folder, a .safetensors file, or an id in the Hugging Face cache; without it, the small demo model that is inside
    the package. options: device ("auto", "cpu", "cuda", "cuda:1"), dtype ("auto", "f32", "bf16", "f16"), threads, vram and ram (bytes that
    the process may take), no_t5, clip_l, clip_g, t5, vae, tokenizers (files and folders of their own), embeddings (a folder where embeddings
    of prompts are kept), calibration (a file where the rates of this machine are kept), hub_cache (the Hugging Face cache; without it, the
    one that huggingface_hub would use), card. log: is told what the library does.

    Error: bad_checkpoint, bad_request, device.

    Threads: calls release Python's lock while they draw. An engine does one thing at a time; a second call meanwhile, on another thread or
    from a callback, raises Error with code "bad_request", and what is under way goes on. Engines share nothing: each thread may have one.
    Fork: a child process may not use an engine of its parent (Error, "bad_request"); it makes its own. multiprocessing with "spawn" is fine.
    """

    def __init__(self, model: str | os.PathLike[str] | None = None, *, log: Callable[[LogEntry], object] | None = None, **options: Any) -> None:
        given = Handle(c.made("fude_options_new"), "fude_options_free")
        options = {"hub_cache": hub_cache(), **options, "model": DEMO_MODEL if model is None else model}
        for name, value in options.items():
            text = str(value).lower() if isinstance(value, bool) else os.fspath(value) if isinstance(value, os.PathLike) else str(value)
            c.call("fude_options_set", given, name.encode(), text.encode())
        if log:
            tell = log

            def told(_user: Any, level: bytes, event: bytes, text: bytes, size: int, seconds: float) -> None:
                tell(LogEntry(level.decode(), event.decode(), text.decode(), size, seconds))

            self._log = c.LOG(told)
            c.call("fude_options_log", given, self._log, None)
        self._handle = Handle(c.made("fude_engine_new", given), "fude_engine_free")
        about = json.loads(c.text("fude_engine_json", self._handle))
        self.device: str = about["device"]
        self.dtype: str = about["dtype"]
        self.model: str = about["model"]
        self.model_hash: str = about["model_hash"]
        self.has_t5: bool = about["t5"]

    @property
    def _own(self) -> Handle:
        if self._handle.pid != os.getpid():
            raise Error("this Engine belongs to the process that this one was forked from: make one here, or let multiprocessing spawn")
        return self._handle

    def generate(self, prompt: str = "", *, embeddings: Embeddings | None = None, latents: npt.ArrayLike | None = None,
                 progress: Callable[[Progress], object] | None = None, preview: Callable[[Preview], object] | None = None, preview_every: int = 1,
                 finished: Callable[[Image], object] | None = None, step: Callable[[StepLatents], object] | None = None, stop: Stop | None = None,
                 **fields: Any) -> Result:
        """Draws one request: fields are those of fude.request_fields(), such as negative, width, height (pixels, multiples of 16), steps,
        guidance, seed (picture i of several has seed + i), count; diffusers' names (num_inference_steps …) work too.

        embeddings are drawn from instead of the prompts; latents, float32 [count, channels, height/8, width/8], are what pictures begin as
        instead of their seeds' noise. progress, preview (after every preview_every steps), step (after each) and finished (each picture as
        soon as it is done; the result then holds none) are called from this thread; what they raise ends the call. stop: see Stop. What will not come out as meant is warned of.

        Error: bad_request, out_of_memory, bad_checkpoint, device, io, non_finite, cancelled. The engine stays usable.
        """
        return self.generate_all([{"prompt": prompt, **fields}], embeddings=[embeddings], latents=[latents], progress=progress, preview=preview,
                                 preview_every=preview_every, finished=finished, step=step, stop=stop)

    def generate_all(self, requests: Sequence[Mapping[str, Any]], *, embeddings: Sequence[Embeddings | None] | None = None,
                     latents: Sequence[npt.ArrayLike | None] | None = None, progress: Callable[[Progress], object] | None = None,
                     preview: Callable[[Preview], object] | None = None, preview_every: int = 1, finished: Callable[[Image], object] | None = None,
                     step: Callable[[StepLatents], object] | None = None, stop: Stop | None = None) -> Result:
        """Draws several requests one after the other; each prompt is encoded once. As generate(), with embeddings and latents of each."""
        none: list[None] = [None] * len(requests)
        handles = [_request(*each) for each in zip(requests, embeddings or none, latents or none, strict=True)]
        pointers = (ctypes.c_void_p * max(1, len(handles)))(*[each._as_parameter_ for each in handles])
        listener = _Listener(progress, preview, preview_every, finished, step, stop)
        return Result(Handle(listener.made("fude_engine_generate", self._own, pointers, len(handles)), "fude_result_free"))

    def encode(self, prompt: str = "", *, progress: Callable[[Progress], object] | None = None, stop: Stop | None = None, **fields: Any) -> Embeddings:
        """What the encoders make of the request's prompts. Given to generate() with as much guidance, they draw the same picture bit for bit."""
        request = _request({"prompt": prompt, **fields})
        listener = _Listener(progress, stop=stop)
        return Embeddings._of(listener.made("fude_engine_encode", self._own, request))

    def plan(self, prompt: str = "", **fields: Any) -> dict[str, Any]:
        """What drawing it would need (docs/plan.md): bytes and, where the machine's rates are known, seconds. Nothing is loaded."""
        plan: dict[str, Any] = json.loads(c.text("fude_engine_plan", self._own, _request({"prompt": prompt, **fields})))
        return plan

    def complete(self, prompt: str = "", **fields: Any) -> dict[str, Any]:
        """The request with every default filled in, checked. Error: bad_request."""
        request = Handle(c.made("fude_engine_complete", self._own, _request({"prompt": prompt, **fields})), "fude_request_free")
        complete: dict[str, Any] = json.loads(c.text("fude_request_json", request))
        return complete

    def memory(self) -> tuple[int, int]:
        """Bytes of the host's memory and of a card's that it has now for weights and work."""
        host, device = ctypes.c_int64(), ctypes.c_int64()
        c.call("fude_engine_memory", self._own, ctypes.byref(host), ctypes.byref(device))
        return host.value, device.value

    def release(self) -> None:
        """Frees all of them. Later requests draw the same pictures, and load anew."""
        c.call("fude_engine_release", self._own)


def hub_cache() -> str:
    """Where huggingface_hub keeps models."""
    home = os.environ.get("HF_HOME") or os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache"), "huggingface")
    return os.environ.get("HF_HUB_CACHE") or os.path.join(home, "hub")


def devices() -> list[dict[str, Any]]:
    """What there is to draw with, the one that "auto" takes first: name, description, library, memory and free (bytes), fast_dtypes."""
    found: list[dict[str, Any]] = json.loads(c.text("fude_devices"))
    return found


def request_fields() -> list[dict[str, Any]]:
    """All fields of a request: name, other_names, type, help, least, most."""
    fields: list[dict[str, Any]] = json.loads(c.text("fude_request_fields"))
    return fields


def load_request(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The request that a picture's file holds, as generate() takes it: generate(**load_request("picture.png")). PNG, JPEG and WebP, of
    fude and of other programs. Error: bad_request, io."""
    request = Handle(c.made("fude_request_load", os.fsencode(path)), "fude_request_free")
    fields: dict[str, Any] = json.loads(c.text("fude_request_json", request))
    return fields
