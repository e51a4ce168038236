#!/usr/bin/env python3
"""fude.StableDiffusion3Pipeline against diffusers: its goldens always, itself and torch's noise where they are installed."""

import logging
import os
import pathlib
import runpy
import sys
import tempfile
import unittest
import warnings

import fude
import numpy as np
from fude import StableDiffusion3Pipeline
from pipeline_calls import CALLS, SMALL, arguments_of

try:
    import torch
except ImportError:
    torch = None

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent.parent
GOLDENS = np.load(REPOSITORY / "tests" / "fixtures" / "pipeline.npz")
needs_torch = unittest.skipUnless(torch, "torch is not installed")


def opened(**options):
    pipe = StableDiffusion3Pipeline.from_pretrained(fude.DEMO_MODEL, engine_options={"device": "cpu", "threads": 2}, **options)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def levels(pictures):
    return np.rint(pictures * 255).astype(int)


class Pipeline(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        warnings.simplefilter("ignore")  # what fude says of sizes
        cls.pipe = opened()

    def refusal(self, parameter, **arguments):
        with self.assertRaises(fude.Error) as caught:
            self.pipe(**{"prompt": "a cat", **SMALL, **arguments})
        self.assertEqual(caught.exception.field, parameter, caught.exception)
        return str(caught.exception)

    def picture(self, **arguments):
        return self.pipe("a cat", output_type="np", **{**SMALL, "generator": fude.Generator(1), **arguments}).images

    # ---- the same pixels --------------------------------------------------------------------------------------------------------

    def test_draws_what_diffusers_draws(self):
        for generator in [fude.Generator] + ([torch.Generator] if torch else []):
            for name in CALLS:
                with self.subTest(name, generator=generator.__module__):
                    images = self.pipe(output_type="np", **arguments_of(name, generator)).images
                    self.assertEqual(images.shape, GOLDENS[name].shape)
                    self.assertLessEqual(abs(levels(images) - GOLDENS[name]).max(), 1)

    def test_goldens_differ_where_the_calls_do(self):
        self.assertGreater(abs(GOLDENS["plain"].astype(int) - GOLDENS["clip_skip"]).max(), 30)

    # ---- noise ------------------------------------------------------------------------------------------------------------------

    def test_a_generator_goes_on(self):
        for make in [fude.Generator] + ([lambda: torch.Generator()] if torch else []):
            generator = make().manual_seed(3)
            first, second = self.picture(generator=generator), self.picture(generator=generator)
            self.assertFalse(np.array_equal(first, second))
            both = self.picture(generator=make().manual_seed(3), num_images_per_prompt=2)
            np.testing.assert_array_equal(np.concatenate([first, second]), both)

    @needs_torch
    def test_the_state_is_what_diffusers_leaves(self):
        for dtype in (torch.float32, torch.float16, torch.bfloat16):
            own, theirs = torch.Generator().manual_seed(3), torch.Generator().manual_seed(3)
            noise = torch.randn((2, 16, 8, 8), generator=theirs, dtype=dtype)
            pipe = opened(torch_dtype=dtype)
            images = pipe("a cat", **SMALL, num_images_per_prompt=2, generator=own, output_type="np").images
            self.assertTrue(torch.equal(own.get_state(), theirs.get_state()))
            np.testing.assert_array_equal(images, pipe("a cat", **SMALL, num_images_per_prompt=2, latents=noise, output_type="np").images)

    @needs_torch
    def test_torchs_global_generator_where_none_is_given(self):
        torch.manual_seed(8)
        first = self.picture(generator=None)
        np.testing.assert_array_equal(first, self.picture(generator=torch.Generator().manual_seed(8)))

    def test_both_generators_are_one(self):
        if torch:
            for name, dtype in (("float32", "f32"), ("float16", "f16"), ("bfloat16", "bf16")):
                pipe = opened(torch_dtype=name)
                np.testing.assert_array_equal(pipe._noise((2, 16, 8, 8), fude.Generator(4)), pipe._noise((2, 16, 8, 8), torch.Generator().manual_seed(4)), dtype)
        self.refusal("generator", generator=[fude.Generator(1)] * 2)
        self.refusal("generator", generator=5)

    # ---- what comes out ---------------------------------------------------------------------------------------------------------

    def test_output_types(self):
        values = self.picture()
        self.assertEqual((values.shape, values.dtype), ((1, 64, 64, 3), np.float32))
        images = self.pipe("a cat", **SMALL, generator=fude.Generator(1)).images
        with tempfile.TemporaryDirectory() as folder:
            images[0].save(f"{folder}/cat.png")
            self.assertGreater(os.path.getsize(f"{folder}/cat.png"), 1000)
        np.testing.assert_array_equal(np.asarray(images[0]), levels(values)[0])
        latents = self.pipe("a cat", **SMALL, generator=fude.Generator(1), output_type="latent").images
        self.assertEqual(tuple(latents.shape), (1, 16, 8, 8))
        (same,) = self.pipe("a cat", **SMALL, generator=fude.Generator(1), output_type="np", return_dict=False)
        np.testing.assert_array_equal(same, values)
        if torch:
            tensor = self.pipe("a cat", **SMALL, generator=fude.Generator(1), output_type="pt").images
            np.testing.assert_array_equal(tensor.permute(0, 2, 3, 1).numpy(), values)
        self.refusal("output_type", output_type="svg")

    def test_defaults_are_diffusers(self):
        told = []
        pipe = opened()
        pipe.engine.generate_all = lambda requests, **_: told.extend(requests) or fude.Result.__new__(fude.Result)
        with self.assertRaises(AttributeError):  # it has drawn nothing
            pipe("a cat", generator=fude.Generator(1))
        self.assertEqual((told[0]["steps"], told[0]["guidance"], told[0]["t5_tokens"]), (28, 7.0, 256))
        self.assertEqual(pipe.engine.complete()["width"], 256, "the demo model's own; 1024 of Stable Diffusion 3.5")

    # ---- embeddings -------------------------------------------------------------------------------------------------------------

    def test_embeddings(self):
        prompts, negatives, pooled, negative_pooled = self.pipe.encode_prompt("a cat", negative_prompt="snow")
        self.assertEqual(tuple(prompts.shape[:2]), (1, 333))
        given = {"prompt": None, "prompt_embeds": prompts, "pooled_prompt_embeds": pooled}
        expected = self.picture(negative_prompt="snow")
        both = {"negative_prompt_embeds": negatives, "negative_pooled_prompt_embeds": negative_pooled}

        def drawn(**arguments):
            return self.pipe(**{**SMALL, "output_type": "np", "generator": fude.Generator(1), **arguments}).images

        for images in (drawn(**given, **both), drawn(**given, negative_prompt="snow"), self.picture(**both)):
            self.assertLessEqual(abs(levels(images) - levels(expected)).max(), 1)
        self.refusal("pooled_prompt_embeds", prompt=None, prompt_embeds=prompts)
        self.refusal("prompt", prompt_embeds=prompts)
        self.refusal("prompt", prompt=None)
        self.refusal("prompt_2", **given, prompt_2="x")
        self.refusal("negative_prompt", negative_prompt="x", **both)

    # ---- callbacks --------------------------------------------------------------------------------------------------------------

    def test_callback_on_step_end(self):
        told = []

        def look(pipe, step, timestep, kwargs):
            self.assertIs(pipe, self.pipe)
            told.append((step, float(timestep), tuple(kwargs["latents"].shape)))
            return kwargs

        expected = self.picture(num_images_per_prompt=2)
        seen = self.picture(num_images_per_prompt=2, callback_on_step_end=look)
        self.assertLessEqual(abs(levels(seen) - levels(expected)).max(), 1, "drawn as one batch")
        self.assertEqual([(step, shape) for step, _, shape in told], [(i, (2, 16, 8, 8)) for i in range(4)])
        self.assertEqual(told[0][1], 1000)
        self.assertGreater(told[1][1], told[2][1])

    def test_latents_that_a_callback_returns_are_gone_on_from(self):
        kept = []
        self.picture(callback_on_step_end=lambda pipe, step, timestep, kwargs: kept.append(kwargs["latents"]) or kwargs)
        again = self.picture(generator=fude.Generator(2), num_images_per_prompt=1,
                             callback_on_step_end=lambda pipe, step, timestep, kwargs: {"latents": kept[step]})
        np.testing.assert_array_equal(again, self.picture())

    def test_what_a_callback_raises_comes_out(self):
        def fail(*_):
            raise KeyError("mine")

        with self.assertRaisesRegex(KeyError, "mine"):
            self.picture(callback_on_step_end=fail)
        self.picture()

    # ---- what is not there ------------------------------------------------------------------------------------------------------

    def test_what_cannot_be_done_names_the_parameter(self):
        for parameter, arguments in {
            "ip_adapter_image": {"ip_adapter_image": object()},
            "mu": {"mu": 0.5},
            "joint_attention_kwargs": {"joint_attention_kwargs": {"ip": 1}},
            "negative_prompt": {"negative_prompt": ["a", "b"]},
            "prompt_3": {"prompt_3": ["a", "b"]},
            "latents": {"latents": np.zeros((1, 16, 4, 4))},
            "callback_on_step_end_tensor_inputs": {"callback_on_step_end": print, "callback_on_step_end_tensor_inputs": ["prompt_embeds"]},
            "callback_on_step_end": {"callback_on_step_end": print, "prompt": ["a", "b"]},
            "steps": {"num_inference_steps": 0},
            "width": {"width": 50},
            "sigmas": {"sigmas": [0.5, 0.9]},
            "clip_skip": {"clip_skip": 12},
            "t5_tokens": {"max_sequence_length": 513},
        }.items():
            with self.subTest(parameter):
                self.refusal(parameter, **arguments)
        with self.assertRaisesRegex(TypeError, "image"):
            self.pipe("a cat", image=1)
        with self.assertRaisesRegex(AttributeError, "load_lora_weights"):
            self.pipe.load_lora_weights("x")
        for options in ({"transformer": 1}, {"torch_dtype": "int8"}, {"quantization_config": 1}):
            with self.assertRaises(fude.Error) as caught:
                StableDiffusion3Pipeline.from_pretrained(fude.DEMO_MODEL, **options)
            self.assertIn(caught.exception.field, options)
        with self.assertRaises(fude.Error):
            self.pipe.to("mps")

    def test_memory_savers_are_accepted_and_answered_once(self):
        pipe = opened(torch_dtype="float16", low_cpu_mem_usage=True, use_safetensors=True, variant=None)
        with self.assertLogs("fude", logging.WARNING) as said:
            for _ in range(2):
                pipe.enable_sequential_cpu_offload()
                pipe.enable_model_cpu_offload()
                pipe.enable_attention_slicing("max")
            pipe.enable_vae_tiling()
            pipe.vae.enable_tiling()
        self.assertEqual(len(said.records), 3, said.output)
        self.assertIs(pipe.to("cuda"), pipe)
        self.assertEqual(pipe("a cat", **SMALL, generator=fude.Generator(1), output_type="np").images.shape, (1, 64, 64, 3))

    def test_t5_may_be_left_out(self):
        pipe = opened(text_encoder_3=None, tokenizer_3=None)
        self.assertFalse(pipe.engine.has_t5)

    # ---- whole scripts ----------------------------------------------------------------------------------------------------------

    @needs_torch
    def test_the_authors_scripts(self):
        here, arguments = os.getcwd(), sys.argv
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            try:
                sys.argv = ["capybara.py", str(fude.DEMO_MODEL)]
                runpy.run_path(str(REPOSITORY / "examples" / "python" / "capybara.py"), run_name="__main__")
                sys.argv = ["steps.py", str(fude.DEMO_MODEL), "2", "3"]
                runpy.run_path(str(REPOSITORY / "examples" / "python" / "steps.py"), run_name="__main__")
                self.assertTrue(pathlib.Path("capybara.png").exists())
                log = pathlib.Path("prompt_log.txt").read_text().splitlines()
                self.assertEqual([line.split("\t")[1] for line in log], ["outputs/2-02.png", "outputs/2-03.png"])
                self.assertTrue(all(pathlib.Path(line.split("\t")[1]).exists() for line in log))
            finally:
                os.chdir(here)
                sys.argv = arguments

    @needs_torch
    def test_beside_diffusers_itself(self):
        try:
            import diffusers
        except ImportError:
            self.skipTest("diffusers is not installed")
        theirs = diffusers.StableDiffusion3Pipeline.from_pretrained(fude.DEMO_MODEL, torch_dtype=torch.float32)
        theirs.set_progress_bar_config(disable=True)
        for name in ("plain", "encoders", "several_prompts"):
            expected = theirs(output_type="np", **arguments_of(name, torch.Generator)).images
            images = self.pipe(output_type="np", **arguments_of(name, torch.Generator)).images
            self.assertLessEqual(abs(levels(images) - levels(expected)).max(), 1, name)


if __name__ == "__main__":
    unittest.main()
