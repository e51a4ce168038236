#!/usr/bin/env python3
"""fude.Engine and what belongs to it, as the installed package has it (wheel_test.py)."""

import gc
import hashlib
import io
import json
import os
import pathlib
import signal
import sys
import tempfile
import threading
import unittest
import warnings

import fude
import numpy as np

FIXTURES = pathlib.Path(__file__).resolve().parent.parent / "fixtures"
MODEL = FIXTURES / "dual"
SMALL = {"width": 64, "height": 64, "steps": 2, "seed": 7}
LONG = {"width": 64, "height": 64, "steps": 1000, "count": 1000}


def engine(**options):
    return fude.Engine(MODEL, **{"device": "cpu", "dtype": "f32", "threads": 1, **options})


class Engine(unittest.TestCase):
    def setUp(self):
        warnings.simplefilter("ignore")  # what fude says of prompts and sizes
        self.engine = engine()

    def refusal(self, call, code="bad_request"):
        with self.assertRaises(fude.Error) as caught:
            call()
        self.assertEqual(caught.exception.code, code, caught.exception)
        return caught.exception

    def test_is_installed_with_its_model(self):
        self.assertIn("site-packages", fude.__file__)
        own = fude.Engine(device="cpu", threads=2)
        self.assertEqual((own.model, own.device, own.has_t5), ("demo", "cpu", True))
        self.assertEqual(own.generate("a cat", width=192, height=192, steps=1).images[0].rgb.shape, (192, 192, 3))

    def test_arrays_are_not_copied_and_outlive_everything(self):
        image = self.engine.generate("a red bicycle", **SMALL).images[0]
        pixels, latents, noise = image.rgb, image.latents, image.noise
        self.assertEqual((pixels.shape, latents.shape, noise.shape), ((64, 64, 3), (16, 8, 8), (16, 8, 8)))
        self.assertEqual((pixels.dtype, latents.dtype), (np.uint8, np.float32))
        self.assertFalse(pixels.flags.owndata or pixels.flags.writeable)
        self.assertEqual(pixels.ctypes.data, image.rgb.ctypes.data)
        self.assertEqual(np.asarray(image).ctypes.data, pixels.ctypes.data)
        kept = pixels.copy()
        del image, self.engine
        gc.collect()
        engine().generate("another", **SMALL)
        np.testing.assert_array_equal(pixels, kept)

    def test_a_file_draws_its_picture_again(self):
        image = self.engine.generate("a red bicycle", num_inference_steps=3, width=64, height=64, seed=7).images[0]
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "絵.png"
            image.save(path)
            request = fude.load_request(path)
            self.assertEqual(path.read_bytes(), image.png())
        self.assertEqual((request["steps"], request["seed"]), (3, 7))
        np.testing.assert_array_equal(self.engine.generate(**request).images[0].rgb, image.rgb)

    def test_pictures_are_pillows_too(self):
        try:
            import PIL.Image
        except ImportError:
            self.skipTest("Pillow is not installed")
        image = self.engine.generate("a red bicycle", **SMALL).images[0]
        np.testing.assert_array_equal(np.asarray(image.pil()), image.rgb)
        np.testing.assert_array_equal(np.asarray(PIL.Image.open(io.BytesIO(image.png()))), image.rgb)

    def test_several_requests(self):
        result = self.engine.generate_all([{"prompt": "a cat", **SMALL, "count": 2}, {"prompt": "a dog", **SMALL}])
        self.assertEqual([(image.seed, image.details["request"]) for image in result.images], [(7, 0), (8, 0), (7, 1)])
        self.assertEqual([each["request"]["prompt"] for each in result.details], ["a cat", "a dog"])

    def test_failures_name_the_field(self):
        self.assertEqual(self.refusal(lambda: self.engine.generate("a cat", steps=0)).field, "steps")
        self.assertEqual(self.refusal(lambda: self.engine.generate("a cat", steps="many")).field, "steps")
        self.assertIn("stepz", str(self.refusal(lambda: self.engine.generate("a cat", stepz=3))))
        wrong = self.refusal(lambda: self.engine.generate("a cat", sampler="oiler"))
        self.assertEqual(wrong.details["remedies"][0]["kind"], "use_one_of")
        self.refusal(lambda: fude.Engine("/nowhere"), "bad_checkpoint")
        self.assertIn("modle", str(self.refusal(lambda: fude.Engine(MODEL, modle=1))))
        self.refusal(lambda: fude.load_request("/nowhere.png"), "io")
        with self.assertRaises(TypeError):
            self.engine.generate("a cat", steps=object())

    def test_what_is_amiss_is_warned_of(self):
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            self.engine.generate("a cat", negative="a dog", guidance=1, **SMALL)
            self.engine.generate_all([{"prompt": "東京", "negative": "a dog", "guidance": 1, **SMALL}])
            self.engine.encode("大阪", **SMALL)
        self.assertTrue(any("negative" in str(each.message) for each in said), said)
        self.assertEqual({each.filename for each in said}, {__file__})

    def test_callbacks(self):
        told, shown, done = [], [], []
        result = self.engine.generate("a cat", **{**SMALL, "count": 2}, progress=told.append, preview=shown.append, finished=done.append)
        self.assertEqual(result.images, [])
        self.assertEqual([image.seed for image in done], [7, 8])
        self.assertIn(fude.Progress("denoise", 1, 2, 2, 2), told)
        self.assertTrue(all(each.rgb.shape == (8, 8, 3) for each in shown))

    def test_progress_of_tqdm(self):
        try:
            import tqdm  # noqa: F401
        except ImportError:
            self.skipTest("tqdm is not installed")
        out = io.StringIO()
        with fude.ProgressBar(file=out) as bar:
            self.engine.generate("a cat", **{**SMALL, "count": 3}, progress=bar)
        self.assertIn("6/6", out.getvalue())

    def test_what_a_callback_raises_ends_the_call(self):
        def fail(_):
            raise KeyError("mine")

        with self.assertRaisesRegex(KeyError, "mine"):
            self.engine.generate("a cat", **LONG, progress=fail)
        self.assertEqual(len(self.engine.generate("a cat", **SMALL).images), 1)

    def test_ctrl_c_ends_the_call(self):
        with self.assertRaises(KeyboardInterrupt):
            self.engine.generate("a cat", **LONG, progress=lambda at: at.step == 2 and signal.raise_signal(signal.SIGINT))

    def test_the_lock_of_python_is_free_while_it_draws(self):
        stop = fude.Stop()
        other = threading.Thread(target=stop.set)
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1000)  # nobody is made to let go of it
        self.addCleanup(sys.setswitchinterval, interval)
        begun = []

        def begin(_):
            if not begun:
                begun.append(other.start())

        self.refusal(lambda: self.engine.generate("a cat", **LONG, progress=begin, stop=stop), "cancelled")
        other.join()
        stop.clear()
        self.engine.generate("a cat", **SMALL, stop=stop)

    def test_threads_have_an_engine_each(self):
        expected = self.engine.generate("a cat", **SMALL).images[0].rgb
        drawn = []
        threads = [threading.Thread(target=lambda: drawn.append(engine().generate("a cat", **SMALL).images[0].rgb)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(drawn), 3)
        for pixels in drawn:
            np.testing.assert_array_equal(pixels, expected)

    def test_a_second_call_meanwhile_is_refused(self):
        refused = []

        def look(_):
            if not refused:
                other = threading.Thread(target=lambda: refused.append(self.refusal(lambda: self.engine.generate("a dog", **SMALL))))
                other.start()
                other.join()
                refused.append(self.refusal(self.engine.memory))

        self.engine.generate("a cat", **SMALL, progress=look)
        self.assertEqual(len(refused), 2)
        self.assertIn("at work", str(refused[0]))

    @unittest.skipUnless(hasattr(os, "fork"), "this system has no fork")
    def test_a_forked_child_has_its_own_engine(self):
        expected = self.engine.generate("a cat", **SMALL).images[0].rgb
        child = os.fork()
        if child == 0:
            good = False
            try:
                refusal = self.refusal(lambda: self.engine.generate("a cat", **SMALL))
                own = engine().generate("a cat", **SMALL).images[0].rgb
                good = "forked" in str(refusal) and np.array_equal(own, expected)
                self.engine = None  # is not freed here
                gc.collect()
            finally:
                os._exit(0 if good else 1)
        self.assertEqual(os.waitpid(child, 0)[1], 0)
        np.testing.assert_array_equal(self.engine.generate("a cat", **SMALL).images[0].rgb, expected)

    def test_embeddings(self):
        expected = self.engine.generate("a red bicycle", **SMALL).images[0].rgb
        encoded = self.engine.encode("a red bicycle", **SMALL)
        self.assertEqual(encoded.prompt_embeds.shape[0], 333)
        copied = fude.Embeddings(encoded.prompt_embeds.astype(np.float64), encoded.pooled_prompt_embeds, encoded.negative_prompt_embeds,
                                 encoded.negative_pooled_prompt_embeds)
        np.testing.assert_array_equal(self.engine.generate(embeddings=copied, **SMALL).images[0].rgb, expected)
        with tempfile.TemporaryDirectory() as folder:
            encoded.save(f"{folder}/e.safetensors")
            np.testing.assert_array_equal(fude.Embeddings.load(f"{folder}/e.safetensors").prompt_embeds, encoded.prompt_embeds)
        self.assertEqual(self.refusal(lambda: fude.Embeddings(encoded.prompt_embeds[0], encoded.pooled_prompt_embeds)).field, "embeddings")
        self.assertIsNone(self.engine.encode("a cat", **SMALL, guidance=1).negative_prompt_embeds)

    def test_plan_complete_memory_release(self):
        self.assertTrue(self.engine.plan("a cat", **SMALL)["fits"])
        self.assertEqual(self.engine.complete("a cat", width=64, height=64)["sampler"], "euler")
        self.assertEqual(self.engine.memory(), (0, 0))
        before = self.engine.generate("a cat", **SMALL).images[0].rgb
        self.assertGreater(self.engine.memory()[0], 0)
        self.engine.release()
        self.assertEqual(self.engine.memory(), (0, 0))
        np.testing.assert_array_equal(self.engine.generate("a cat", **SMALL).images[0].rgb, before)

    def test_log_and_devices(self):
        entries = []
        engine(log=entries.append).generate("a cat", **SMALL)
        self.assertIn("drawn", [entry.event for entry in entries])
        self.assertIn("cpu", [device["name"] for device in fude.devices()])
        self.assertIn("num_inference_steps", [name for field in fude.request_fields() for name in field["other_names"]])


class Generator(unittest.TestCase):
    def test_draws_torchs_bits(self):
        rows = [row for row in json.loads((FIXTURES / "noise.json").read_text()) if row["noise"] == "torch-cpu" and row["n"] >= 16]
        self.assertGreater(len(rows), 3)
        for row in rows:
            values = fude.Generator(row["seed"]).randn([row["n"]])
            self.assertEqual(hashlib.sha256(values.tobytes()).hexdigest(), row["sha256"], row)

    def test_goes_on(self):
        generator = fude.Generator(5)
        first, second = generator.randn((4, 8)), generator.randn((4, 8))
        self.assertFalse(np.array_equal(first, second))
        np.testing.assert_array_equal(generator.manual_seed(5).randn((4, 8)), first)
        self.assertEqual(generator.initial_seed(), 5)
        self.assertEqual(fude.Generator(-1).initial_seed(), 2**64 - 1)

    def test_is_torchs_where_torch_is(self):
        try:
            import torch
        except ImportError:
            self.skipTest("torch is not installed")
        own, theirs = fude.Generator(3), torch.Generator().manual_seed(3)
        for name, dtype in (("f32", torch.float32), ("f16", torch.float16), ("bf16", torch.bfloat16), ("f32", torch.float32)):
            expected = torch.randn((2, 16, 8, 8), generator=theirs, dtype=dtype).float().numpy()
            np.testing.assert_array_equal(own.randn((2, 16, 8, 8), name), expected, name)


if __name__ == "__main__":
    unittest.main()
