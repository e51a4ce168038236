"""A drop-in for diffusers' StableDiffusion3Pipeline: the same calls, the same pictures, drawn by fude."""

from __future__ import annotations

import dataclasses
import importlib.util
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from ._engine import Embeddings, Engine, Floats, Image, StepLatents
from ._generator import Generator
from ._library import Error
from ._progress import ProgressBar

_CHANNELS = 16  # of the latents of Stable Diffusion 3
_DTYPES = {"float32": "f32", "float16": "f16", "bfloat16": "bf16"}
# What diffusers' from_pretrained is told and fude has no choice about: it reads files that are there, and only what it needs of them.
_NEEDLESS = {"low_cpu_mem_usage", "use_safetensors", "local_files_only", "token", "force_download", "proxies", "resume_download", "device_map",
             "max_memory", "offload_folder", "offload_state_dict", "add_prefix_space"}

_logger = logging.getLogger("fude")
_said: set[str] = set()
_global = Generator()  # where there is no torch


def _cannot(parameter: str, why: str) -> NoReturn:
    raise Error(f"StableDiffusion3Pipeline: {parameter} {why}", field=parameter)


def _say_once(what: str) -> None:
    if what not in _said:
        _said.add(what)
        _logger.warning(what)


def _torch() -> Any:
    """torch, or None where it is not installed."""
    if importlib.util.find_spec("torch") is None:
        return None
    import torch

    return torch


def _floats(values: Any, dtype: str) -> Floats:
    """A tensor of torch or an array, with the values that it has in a dtype ("f16")."""
    torch = _torch()
    if torch is not None and (dtype != "f32" or isinstance(values, torch.Tensor)):
        wide = {own: name for name, own in _DTYPES.items()}[dtype]
        values = torch.as_tensor(values).detach().to(getattr(torch, wide)).float().cpu().numpy()
    elif dtype == "f16":
        values = np.asarray(values, np.float16)
    return np.ascontiguousarray(values, np.float32)


def _several(parameter: str, value: str | Sequence[str] | None, count: int, otherwise: Sequence[str]) -> list[str]:
    """One text for each prompt; an empty one is the `otherwise` of its place, as diffusers has it."""
    if not value:
        return list(otherwise)
    if isinstance(value, str):
        return [value] * count
    if not isinstance(value, (list, tuple)) or not all(isinstance(each, str) for each in value):
        _cannot(parameter, f"has to be a text or a list of texts, not {type(value).__name__}")
    if len(value) != count:
        _cannot(parameter, f"has {len(value)} texts, and there are {count} prompts")
    return list(value)


@dataclasses.dataclass
class StableDiffusion3PipelineOutput:
    """images: a list of Pillow's pictures, or an array or tensor, as output_type says."""

    images: Any

    def __getitem__(self, key: int | str) -> Any:
        return {0: self.images, "images": self.images}[key]


class _Vae:
    """What scripts say to pipe.vae."""

    def __init__(self, pipe: StableDiffusion3Pipeline) -> None:
        self._pipe = pipe

    def enable_tiling(self, *_: Any, **__: Any) -> None:
        self._pipe.enable_vae_tiling()

    def disable_tiling(self) -> None:
        self._pipe.disable_vae_tiling()

    def enable_slicing(self) -> None:
        self._pipe.enable_vae_slicing()


class StableDiffusion3Pipeline:
    """diffusers' StableDiffusion3Pipeline, for scripts that import it from fude instead.

    Noise is drawn as diffusers draws it, by torch where that is installed: in torch_dtype, on the device of the generator, which goes on
    from where it was; without torch by fude.Generator, with the same bits. What cannot be done raises fude.Error, whose field names the
    parameter. One call at a time, as Engine.
    """

    _callback_tensor_inputs = ["latents"]

    def __init__(self, engine_options: Mapping[str, Any], dtype: str) -> None:
        self._options = dict(engine_options)
        self._dtype = dtype
        self._engine: Engine | None = None
        self._on_card = False  # as the script believes
        self._vae_tiling = False
        self._bar: dict[str, Any] = {}
        self._interrupt = False
        self._guidance_scale, self._num_timesteps = 7.0, 0
        self._clip_skip: int | None = None

    # ---- opening ------------------------------------------------------------------------------------------------------------

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike[str], *, torch_dtype: Any = None,
                        engine_options: Mapping[str, Any] | None = None, **options: Any) -> StableDiffusion3Pipeline:
        """A model by its folder, its file, or its id in the Hugging Face cache; nothing is downloaded.

        torch_dtype: float32 (the default), float16 or bfloat16, torch's or the name. text_encoder_3=None and tokenizer_3=None leave T5 out.
        cache_dir: another Hugging Face cache. engine_options: those of fude.Engine, such as {"vram": 4 << 30}. The model is opened by the
        first call. Error: bad_request for an option that fude does not have.
        """
        own: dict[str, Any] = {"model": os.fspath(pretrained_model_name_or_path)}
        torch_dtype = options.pop("dtype", None) if torch_dtype is None else torch_dtype
        for name, value in options.items():
            if name in _NEEDLESS or (name in ("revision", "variant") and value in (None, "main")):
                continue
            if name == "cache_dir":
                own["hub_cache"] = os.fspath(value)
            elif name in ("text_encoder_3", "tokenizer_3") and value is None:
                own["no_t5"] = True
            else:
                _cannot(name, "is no option of from_pretrained here")
        return cls({**own, **(engine_options or {})}, cls._dtype_of("torch_dtype", torch_dtype))

    @staticmethod
    def _dtype_of(parameter: str, dtype: Any) -> str:
        name = "float32" if dtype is None else str(dtype).rpartition(".")[2]
        if name not in _DTYPES:
            _cannot(parameter, f"is {dtype}, and can be float32, float16 or bfloat16")
        return _DTYPES[name]

    def to(self, *arguments: Any, device: Any = None, dtype: Any = None, silence_dtype_warnings: bool = False) -> StableDiffusion3Pipeline:
        """A device: "cuda" is the best there is, a card or else the processor; "cpu" is the processor. Or a dtype."""
        for argument in (*arguments, device, dtype):
            text = str(argument)
            if argument is None:
                continue
            if text.rpartition(".")[2] in _DTYPES:
                self._dtype = self._dtype_of("dtype", argument)
            elif text == "cpu" or text.partition(":")[0] == "cuda":
                self._on_card = text != "cpu"
                self._options["device"] = {"cpu": "cpu", "cuda": "auto"}.get(text, text)
            else:
                _cannot("device", f"is {text}, and can be cuda, cuda:N or cpu")
        self._engine = None
        return self

    @property
    def device(self) -> Any:
        """Where a script believes that the pipeline is: torch.device, or its name."""
        torch = _torch()
        name = "cuda" if self._on_card and torch is not None and torch.cuda.is_available() else "cpu"
        return name if torch is None else torch.device(name)

    @property
    def dtype(self) -> Any:
        name = {own: name for name, own in _DTYPES.items()}[self._dtype]
        torch = _torch()
        return name if torch is None else getattr(torch, name)

    @property
    def engine(self) -> Engine:
        """The fude.Engine that draws; it is opened when it is first asked for. Error: bad_checkpoint, device."""
        if self._engine is None:
            options: dict[str, Any] = {"dtype": self._dtype, **self._options}
            self._engine = Engine(**options)
        return self._engine

    # ---- what scripts say about memory --------------------------------------------------------------------------------------

    def _planned(self, name: str) -> None:
        _say_once(f"{name}() is not needed: fude plans memory itself. Weights that do not fit the card are streamed, and the pixels stay the "
                  'same; engine_options={"vram": bytes} in from_pretrained sets a limit.')

    def enable_model_cpu_offload(self, *_: Any, **__: Any) -> None:
        self._on_card = True
        self._planned("enable_model_cpu_offload")

    def enable_sequential_cpu_offload(self, *_: Any, **__: Any) -> None:
        self._on_card = True
        self._planned("enable_sequential_cpu_offload")

    def enable_group_offload(self, *_: Any, **__: Any) -> None:
        self._on_card = True
        self._planned("enable_group_offload")

    def enable_attention_slicing(self, slice_size: str | int | None = "auto") -> None:
        self._planned("enable_attention_slicing")

    def disable_attention_slicing(self) -> None:
        pass

    def enable_xformers_memory_efficient_attention(self, *_: Any, **__: Any) -> None:
        self._planned("enable_xformers_memory_efficient_attention")

    def enable_vae_slicing(self) -> None:
        self._planned("enable_vae_slicing")

    def disable_vae_slicing(self) -> None:
        pass

    def enable_vae_tiling(self, *_: Any, **__: Any) -> None:
        """Pictures larger than 1024 pixels are decoded in blended tiles, as diffusers does it."""
        self._vae_tiling = True

    def disable_vae_tiling(self) -> None:
        self._vae_tiling = False

    @property
    def vae(self) -> _Vae:
        return _Vae(self)

    def set_progress_bar_config(self, **options: Any) -> None:
        """tqdm's options; disable=True for none."""
        self._bar = options

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"fude's StableDiffusion3Pipeline has no {name}", name=name, obj=self)

    # ---- what callbacks look at ---------------------------------------------------------------------------------------------

    @property
    def guidance_scale(self) -> float:
        return self._guidance_scale

    @property
    def clip_skip(self) -> int | None:
        return self._clip_skip

    @property
    def do_classifier_free_guidance(self) -> bool:
        return self._guidance_scale > 1

    @property
    def num_timesteps(self) -> int:
        return self._num_timesteps

    @property
    def interrupt(self) -> bool:
        return self._interrupt

    # ---- noise --------------------------------------------------------------------------------------------------------------

    def _noise(self, shape: tuple[int, ...], generator: Any) -> Floats:
        """As diffusers' randn_tensor: all pictures in one draw, or each from its own generator."""
        if isinstance(generator, (list, tuple)):
            if len(generator) == 1:
                return self._noise(shape, generator[0])
            if len(generator) != shape[0]:
                _cannot("generator", f"has {len(generator)} generators, and there are {shape[0]} pictures")
            return np.concatenate([self._noise((1, *shape[1:]), each) for each in generator])
        torch = _torch()
        if isinstance(generator, Generator) or (torch is None and generator is None):
            return (generator or _global).randn(shape, self._dtype)
        if torch is None or not isinstance(generator, (torch.Generator, type(None))):
            _cannot("generator", f"is a {type(generator).__name__}, and can be torch's or fude's Generator, or a list of them")
        device = self.device if generator is None else generator.device
        if device.type != "cpu" and not self._on_card:
            _cannot("generator", f"is on {device}, and the pipeline on the CPU")
        return _floats(torch.randn(shape, generator=generator, device=device, dtype=self.dtype), self._dtype)

    # ---- embeddings ---------------------------------------------------------------------------------------------------------

    def _encoded(self, texts: Mapping[str, str], clip_skip: int | None, max_sequence_length: int) -> Embeddings:
        fields: dict[str, Any] = {**texts, "guidance": 1, "clip_skip": clip_skip or 0, "t5_tokens": max_sequence_length}
        return self.engine.encode(**fields)

    def encode_prompt(self, prompt: str | list[str], prompt_2: str | list[str] | None = None, prompt_3: str | list[str] | None = None,
                      device: Any = None, num_images_per_prompt: int = 1, do_classifier_free_guidance: bool = True,
                      negative_prompt: str | list[str] | None = None, negative_prompt_2: str | list[str] | None = None,
                      negative_prompt_3: str | list[str] | None = None, clip_skip: int | None = None,
                      max_sequence_length: int = 256) -> tuple[Any, Any, Any, Any]:
        """prompt_embeds [b, tokens, width], negative_prompt_embeds, pooled_prompt_embeds [b, pooled], negative_pooled_prompt_embeds; the
        negative ones are None without guidance. Tensors of torch in torch_dtype, or float32 arrays."""
        positive, negative = self._texts(prompt, prompt_2, prompt_3, negative_prompt, negative_prompt_2, negative_prompt_3)
        both = [[self._encoded(each, clip_skip, max_sequence_length) for each in positive]]
        both += [[self._encoded(each, None, max_sequence_length) for each in negative]] if do_classifier_free_guidance else []
        made: list[Any] = [self._tensor(np.repeat(np.stack(values), num_images_per_prompt, 0)) for each in both for values in
                           ([one.prompt_embeds for one in each], [one.pooled_prompt_embeds for one in each])]
        prompts, pooled, *negatives = made
        return (prompts, negatives[0], pooled, negatives[1]) if negatives else (prompts, None, pooled, None)

    def _tensor(self, values: npt.NDArray[Any]) -> Any:
        torch = _torch()
        return values if torch is None else torch.from_numpy(np.array(values)).to(self.dtype)

    @staticmethod
    def _texts(prompt: Any, prompt_2: Any, prompt_3: Any, negative_prompt: Any, negative_prompt_2: Any,
               negative_prompt_3: Any) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
        """Of each prompt and of each negative one what the encoders read, as fields of a request."""
        prompts = [prompt] if isinstance(prompt, str) else _several("prompt", prompt, len(prompt), [])
        count = len(prompts)
        negatives = _several("negative_prompt", negative_prompt, count, [""] * count)
        names = ["prompt", "prompt_2", "prompt_3"]
        positive = [prompts, _several("prompt_2", prompt_2, count, prompts), _several("prompt_3", prompt_3, count, prompts)]
        negative = [negatives, _several("negative_prompt_2", negative_prompt_2, count, negatives),
                    _several("negative_prompt_3", negative_prompt_3, count, negatives)]
        rows = [[dict(zip(names, texts)) for texts in zip(*kind)] for kind in (positive, negative)]
        return rows[0], rows[1]

    def _given(self, given: Mapping[str, Any], negatives: Sequence[Mapping[str, str]] | None, guided: bool, max_sequence_length: int,
               prompts: Sequence[Mapping[str, str]] | None, clip_skip: int | None) -> list[Embeddings]:
        """Embeddings of each prompt; what is not given of them is encoded."""
        values = {name: None if value is None else _floats(value, self._dtype) for name, value in given.items()}
        for name in ("prompt_embeds", "negative_prompt_embeds"):
            pooled = name.replace("prompt", "pooled_prompt")
            if (values[name] is None) != (values[pooled] is None):
                _cannot(pooled if values[pooled] is None else name, "has to come together with " + (name if values[pooled] is None else pooled))
        count = len(values["prompt_embeds"]) if values["prompt_embeds"] is not None else len(prompts or [])
        embeddings = []
        for i in range(count):
            own = {name: None if value is None else value[i] for name, value in values.items()}
            if own["prompt_embeds"] is None and prompts:
                encoded = self._encoded(prompts[i], clip_skip, max_sequence_length)
                own.update(prompt_embeds=encoded.prompt_embeds, pooled_prompt_embeds=encoded.pooled_prompt_embeds)
            if own["negative_prompt_embeds"] is None and guided:
                encoded = self._encoded(negatives[i] if negatives else {"prompt": ""}, None, max_sequence_length)
                own.update(negative_prompt_embeds=encoded.prompt_embeds, negative_pooled_prompt_embeds=encoded.pooled_prompt_embeds)
            embeddings.append(Embeddings(**own))  # type: ignore[arg-type]
        return embeddings

    # ---- drawing ------------------------------------------------------------------------------------------------------------

    def __call__(self, prompt: str | list[str] | None = None, prompt_2: str | list[str] | None = None, prompt_3: str | list[str] | None = None,
                 height: int | None = None, width: int | None = None, num_inference_steps: int = 28, sigmas: list[float] | None = None,
                 guidance_scale: float = 7.0, negative_prompt: str | list[str] | None = None, negative_prompt_2: str | list[str] | None = None,
                 negative_prompt_3: str | list[str] | None = None, num_images_per_prompt: int | None = 1, generator: Any = None,
                 latents: Any = None, prompt_embeds: Any = None, negative_prompt_embeds: Any = None, pooled_prompt_embeds: Any = None,
                 negative_pooled_prompt_embeds: Any = None, ip_adapter_image: Any = None, ip_adapter_image_embeds: Any = None,
                 output_type: str | None = "pil", return_dict: bool = True, joint_attention_kwargs: dict[str, Any] | None = None,
                 clip_skip: int | None = None, callback_on_step_end: Callable[..., Any] | None = None,
                 callback_on_step_end_tensor_inputs: list[str] | tuple[str, ...] = ("latents",), max_sequence_length: int = 256,
                 skip_guidance_layers: list[int] | None = None, skip_layer_guidance_scale: float = 2.8, skip_layer_guidance_stop: float = 0.2,
                 skip_layer_guidance_start: float = 0.01, mu: float | None = None) -> Any:
        """As diffusers' call. height and width: pixels, multiples of 16; the model's own size where they are not given.

        latents [pictures, 16, height/8, width/8], prompt_embeds [prompts, tokens, width] and pooled_prompt_embeds [prompts, pooled] are tensors
        or arrays. output_type: "pil", "np" (float32 [pictures, height, width, 3], 0 to 1, in steps of 1/255), "pt" (the same, channels
        before height) or "latent". callback_on_step_end(pipe, step, timestep, {"latents": …}) may return other latents; it goes with one
        prompt. Error: bad_request with the parameter in its field; those of Engine.generate.
        """
        for name, value in (("ip_adapter_image", ip_adapter_image), ("ip_adapter_image_embeds", ip_adapter_image_embeds), ("mu", mu)):
            if value is not None:
                _cannot(name, "is nothing that fude draws with")
        if any(value != 1 or name != "scale" for name, value in (joint_attention_kwargs or {}).items()):
            _cannot("joint_attention_kwargs", "are nothing that fude draws with")
        if output_type not in ("pil", "np", "pt", "latent"):
            _cannot("output_type", f"is {output_type}, and can be pil, np, pt or latent")
        if output_type == "pt" and _torch() is None:
            _cannot("output_type", "is pt, and torch is not installed")
        if (prompt is None) == (prompt_embeds is None):
            _cannot("prompt", "or prompt_embeds has to be given, and not both")
        for name, own in (("prompt_2", prompt_2), ("prompt_3", prompt_3)):
            if own is not None and prompt is None:
                _cannot(name, "goes with prompt, not with prompt_embeds")
        for name, own in (("negative_prompt", negative_prompt), ("negative_prompt_2", negative_prompt_2), ("negative_prompt_3", negative_prompt_3)):
            if own is not None and negative_prompt_embeds is not None:
                _cannot(name, "does not go with negative_prompt_embeds")

        self._guidance_scale, self._clip_skip, self._interrupt = guidance_scale, clip_skip, False
        self._num_timesteps = num_inference_steps if sigmas is None else len(sigmas)
        count = num_images_per_prompt or 1
        positive: list[dict[str, str]] | None = None
        if prompt is not None:
            positive, negative = self._texts(prompt, prompt_2, prompt_3, negative_prompt, negative_prompt_2, negative_prompt_3)
        else:
            words = [""] * len(prompt_embeds)
            _, negative = self._texts(words, None, None, negative_prompt, negative_prompt_2, negative_prompt_3)
        given = {"prompt_embeds": prompt_embeds, "pooled_prompt_embeds": pooled_prompt_embeds, "negative_prompt_embeds": negative_prompt_embeds,
                 "negative_pooled_prompt_embeds": negative_pooled_prompt_embeds}
        embeddings: list[Embeddings] | None = None
        if any(value is not None for value in given.values()):
            embeddings = self._given(given, negative, guidance_scale > 1, max_sequence_length, positive, clip_skip)

        fields: dict[str, Any] = {"width": width or 0, "height": height or 0, "guidance": guidance_scale, "count": count, "clip_skip": clip_skip or 0,
                                  "t5_tokens": max_sequence_length, "vae_tiling": self._vae_tiling, "sampler": "euler"}
        if sigmas is None:
            fields["steps"] = num_inference_steps
        else:
            fields["sigmas"] = [float(each) for each in sigmas]
        if skip_guidance_layers is not None:
            fields |= {"skip_layers": list(skip_guidance_layers), "skip_scale": skip_layer_guidance_scale, "skip_start": skip_layer_guidance_start,
                       "skip_end": skip_layer_guidance_stop}
        if callback_on_step_end is not None:
            fields["batch"] = count  # all of them after each step
        complete = self.engine.complete(**fields)
        shape = (_CHANNELS, complete["height"] // 8, complete["width"] // 8)
        requests = [{**fields, **({} if embeddings else self._fields_of(*texts))} for texts in zip(positive or negative, negative)]
        pictures = len(requests) * count
        if latents is None:
            begun = self._noise((pictures, *shape), generator)
        else:
            begun = _floats(latents, self._dtype)
            if begun.shape != (pictures, *shape):
                _cannot("latents", f"are {list(begun.shape)}, and have to be {[pictures, *shape]}")

        bar = None if self._bar.get("disable") or importlib.util.find_spec("tqdm") is None else ProgressBar(**self._bar)
        try:
            drawn = self.engine.generate_all(requests, embeddings=embeddings, latents=list(begun.reshape(len(requests), count, *shape)), progress=bar,
                                             step=self._step(callback_on_step_end, callback_on_step_end_tensor_inputs, len(requests)))
        finally:
            if bar:
                bar.close()
        images = self._output(drawn.images, output_type)
        return StableDiffusion3PipelineOutput(images) if return_dict else (images,)

    @staticmethod
    def _fields_of(positive: Mapping[str, str], negative: Mapping[str, str]) -> dict[str, str]:
        return {**positive, **{name.replace("prompt", "negative"): text for name, text in negative.items()}}

    def _step(self, callback: Callable[..., Any] | None, inputs: Sequence[str], prompts: int) -> Callable[[StepLatents], None] | None:
        if callback is None:
            return None
        inputs = getattr(callback, "tensor_inputs", inputs)
        if list(inputs) not in ([], ["latents"]):
            _cannot("callback_on_step_end_tensor_inputs", f"are {list(inputs)}, and can be latents")
        if prompts > 1:
            _cannot("callback_on_step_end", f"goes with one prompt, and there are {prompts}")
        torch, call = _torch(), callback

        def tell(step: StepLatents) -> None:
            before = self._tensor(step.latents.copy())
            told = {"latents": self._tensor(step.latents.copy())} if inputs else {}
            timestep = step.timestep if torch is None else torch.tensor(step.timestep)
            changed = (call(self, step.at.step - 1, timestep, told) or {}).get("latents", told.get("latents"))
            if self._interrupt:
                _cannot("_interrupt", "cannot end the steps early; raise in the callback to end the call")
            if changed is not None and not (np.array_equal(changed, before) if torch is None else torch.equal(torch.as_tensor(changed), before)):
                step.latents[...] = _floats(changed, self._dtype)

        return tell

    def _output(self, images: Sequence[Image], kind: str | None) -> Any:
        if kind == "pil":
            return [image.pil() for image in images]
        if kind == "latent":
            return self._tensor(np.stack([image.latents for image in images]))
        values = np.stack([image.rgb for image in images]).astype(np.float32) / np.float32(255)
        if kind == "np":
            return values
        return _torch().from_numpy(values.transpose(0, 3, 1, 2).copy())
