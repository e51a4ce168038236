#!/usr/bin/env python3
"""The program as a person meets it: its real command line on tiny checkpoints. Standard library only.

    FUDE=build/test/fude python3 tests/app/cli_test.py
"""

import concurrent.futures
import contextlib
import fcntl
import hashlib
import json
import os
import pathlib
import pty
import re
import shutil
import signal
import struct
import subprocess
import termios
import unittest

from support import (FIXTURES, FUDE, MODEL, PATIENCE, REPOSITORY, SMALL, WINDOWS, CommandLine, a1111_parameters, png_pixels,
                     png_texts, posix, undated, write_png)


class Usage(CommandLine):
    def test_help_is_80_columns_wide_and_complete(self):
        for command in [[], ["generate"], ["sweep"], ["gacha"], ["refine"], ["bench"], ["plan"], ["model"], ["model", "inspect"], ["model", "verify"], ["history"],
                        *(["history", command] for command in ["list", "show", "run", "verify", "star", "export"]), ["doctor"]]:
            outcome = self.run_fude(*command, "--help")
            self.assertEqual((outcome.code, outcome.err), (0, ""), outcome)
            self.assertTrue(outcome.out.startswith("Usage: fude"), outcome)
            for line in outcome.out.splitlines():
                self.assertLessEqual(len(line), 80, line)
        text = self.run_fude("generate", "--help").out
        for option in ["--model", "--prompt", "-p", "--negative", "-n", "--negative-prompt", "-W", "-H", "--steps", "--num-inference-steps",
                       "--guidance", "--guidance-scale", "--cfg-scale", "--seed", "--count", "--num-images-per-prompt", "--noise",
                       "--sampler", "--schedule", "--shift", "--guidance-rescale", "--skip-layers",
                       "--skip-guidance-layers", "--skip-scale", "--skip-start", "--skip-end", "--skip-layer-guidance-stop", "--device", "--dtype", "--no-t5", "--clip-l", "--clip-g", "--t5", "--vae", "--tokenizers",
                       "--threads", "--vram", "--ram", "--batch", "--no-cache", "--out", "--from", "--trace", "--json", "--quiet", "--no-color"]:
            self.assertIn(option, text)
        for command in ["generate", "gacha", "sweep", "refine", "plan"]:
            self.assertIn("--vae-tiling", self.run_fude(command, "--help").out)

    def test_version(self):
        outcome = self.run_fude("--version")
        self.assertEqual(outcome.code, 0, outcome)
        self.assertRegex(outcome.out, r"^fude \d+\.\d+\.\d+\ndevices: .*cpu.*\nlibraries: .*libpng.*\n$")

    def test_mistypes_are_answered_with_a_suggestion(self):
        self.assert_refused(self.run_fude("genrate"), 2, "genrate", "fude generate")
        self.assert_refused(self.run_fude("model", "inspekt"), 2, "fude model inspect")
        self.assert_refused(self.run_fude("generate", "cat", "--stpes", "3"), 2, "--stpes", "--steps")
        self.assert_refused(self.run_fude("generate", "cat", "--guidance_scale=3"), 2, "--guidance-scale")
        self.assert_refused(self.run_fude("generate", "cat", "--zzzzzz"), 2, "--zzzzzz", "--help")
        self.assert_refused(self.run_fude("generate", "a", "cat"), 2, '"cat"', "quotation marks")
        self.assert_refused(self.run_fude("generate", "cat", "--steps"), 2, "--steps", "value")

    def test_bad_requests(self):
        for arguments, words in [
            (["--width", "0"], ["--width 0", "--width 16"]),
            (["--width", "100"], ["--width 100", "multiple of 16", "--width 96"]),
            (["--width", "500"], ["--width 500", "the largest is 192", "--width 192"]),  # of this model
            (["--height", "-64"], ["--height -64", "--height 16"]),
            (["-H", "1000000000"], ["--height 1000000000", "--height 192"]),
            (["-W", "99999999999999999999"], ["--width", "whole number"]),
            (["-W", "6144"], ["--width 6144", "--width "]),  # beyond the position table of this model
            (["--steps", "0"], ["--steps", "1 to 1000"]),
            (["--steps", "4.5"], ["--steps", '"4.5"']),
            (["--guidance", "nan"], ["--guidance"]),
            (["--guidance", "much"], ["--guidance", '"much"']),
            (["--seed", "-2"], ["--seed", '"-2"']),
            (["--seed", "18446744073709551616"], ["--seed"]),
            (["--count", "0"], ["--count"]),
            (["--noise", "pink"], ["--noise", "torch-cpu-bf16"]),
            (["--sampler", "magic"], ["--sampler magic", "euler"]),
            (["--device", "abacus"], ["abacus"]),
            (["--dtype", "f8"], ["f8"]),
            (["--threads", "0"], ["--threads"]),
            (["--vram", "much"], ["--vram", '"much"', "--vram 8G"]),
            (["--vram", "-1G"], ["--vram"]),
            (["--vram", "8X"], ["--vram", '"8X"']),
            (["--vram", "8 GB or so"], ["--vram"]),
            (["--ram", "0"], ["--ram", '"0"', "--ram 1536M"]),
            (["--ram", "1e300G"], ["--ram"]),
        ]:
            with self.subTest(arguments=arguments):
                self.assert_refused(self.generate("cat", *arguments, "--out", self.folder / "out"), 2, *words)
        self.assert_refused(self.generate("--prompt", "@no/such/file"), 2, "no/such/file")
        self.assert_refused(self.generate(), 2, "no prompt")
        (self.folder / "latin1.txt").write_bytes(b"caf\xe9")
        self.assert_refused(self.generate("-p", "@latin1.txt"), 2, "UTF-8")
        self.assertEqual([file for file in self.files() if file.endswith(".png")], [])

    def test_models_that_are_none(self):
        (self.folder / "empty").mkdir()
        (self.folder / "not_a_model.safetensors").write_bytes(b"hello")
        for model in ["nowhere", "empty", "not_a_model.safetensors", "someone/unknown-model"]:
            with self.subTest(model=model):
                self.assert_refused(self.generate("cat", "--model", model), 4, model.split("/")[-1])

    def test_no_model_at_all_says_how_to_get_one(self):
        if (REPOSITORY / "models" / "demo" / "model_index.json").exists():
            self.skipTest("the demo model is there")
        self.assert_refused(self.generate("cat", FUDE_MODEL=""), 4, "--model", "FUDE_MODEL", "https://huggingface.co/stabilityai/")


class Fields(CommandLine):
    """Every field of a request has an option, and comes back as it was said."""

    SAMPLES = {"prompt": "a cat", "negative": "dogs", "width": 96, "height": 64, "steps": 3, "guidance": 2.5, "seed": 2**64 - 1, "count": 3,
               "noise": "torch-cuda", "sampler": "euler", "shift": 1.5, "batch": 2, "vae_tiling": True}
    OF_PICTURES = {"place", "variation", "draft"}  # which are not said, but drawn or refined

    def test_go_through_the_command_line(self):
        for changed in self.SAMPLES:
            with self.subTest(changed=changed):
                words = []
                for name in {"prompt", changed}:
                    value = self.SAMPLES[name]
                    words += ["--" + name.replace("_", "-")] + ([] if value is True else [str(value)])
                outcome = self.run_fude("plan", *words, "--json")
                self.assertEqual(outcome.code, 0, outcome)
                request = json.loads(outcome.out)["request"]
                self.assertEqual(request[changed], self.SAMPLES[changed])
                self.assertLessEqual(set(request) - {"rules"} - self.OF_PICTURES, set(self.SAMPLES))

    def test_of_refining_go_through_the_command_line(self):
        picture = self.folder / self.draw("a cat", "--seed", "1")["images"][0]["path"]
        outcome = self.run_fude("refine", "--from", picture, "--scale", "2", "--steps", "3", "--guidance", "2.5", "--strength", "0.75", "--variations", "1",
                                "--variation-seed", "9", "--amount", "0.25", "--vae-tiling", "--json")
        self.assertEqual(outcome.code, 0, outcome)
        request = json.loads(png_texts(self.folder / json.loads(outcome.out)["images"][0]["path"])["fude"])
        self.assertEqual((request["steps"], request["guidance"], request["width"], request["vae_tiling"]), (3, 2.5, 128, True))
        self.assertEqual(request["variation"], {"seed": 9, "amount": 0.25})
        self.assertEqual((request["draft"]["strength"], request["draft"]["width"], request["draft"]["steps"]), (0.75, 64, 2))


class Plans(CommandLine):
    def plan(self, *arguments, code=0):
        outcome = self.run_fude("plan", *SMALL, "--json", *arguments)
        self.assertEqual(outcome.code, code, outcome)
        return json.loads(outcome.out), outcome

    def test_json_has_the_shape_of_the_contract(self):
        document, _ = self.plan("a cat", "--count", "2")
        self.assertIs(document["fits"], True)
        for name in ["planned_bytes", "process_bytes", "budget_bytes"]:
            self.assertEqual(set(document[name]), {"host", "device"})
        self.assertGreater(document["process_bytes"]["host"], document["planned_bytes"]["host"])
        self.assertLessEqual(document["process_bytes"]["host"], document["budget_bytes"]["host"])
        self.assertLessEqual({"clip_l", "clip_g", "t5", "transformer", "vae"}, set(document["residency"]))
        for component in document["residency"].values():
            self.assertLessEqual(component["resident_parts"], component["parts"])
            self.assertLessEqual(component["resident_bytes"], component["weights_bytes"])
        seconds = document["predicted_seconds"]
        self.assertEqual(set(seconds), {"load", "encode", "denoise", "decode", "total"})
        self.assertAlmostEqual(seconds["total"], sum(seconds[stage] for stage in ["load", "encode", "denoise", "decode"]))
        self.assertIs(document["projected"], False)
        self.assertEqual((document["request"]["count"], document["request"]["width"]), (2, 64))
        self.assertEqual([file for file in self.files() if file.endswith(".png")], [])

    def test_text_is_for_people(self):
        outcome = self.run_fude("plan", *SMALL)
        self.assertEqual((outcome.code, outcome.err), (0, ""), outcome)
        self.assertTrue(outcome.out.startswith("64x64, 2 steps, guidance 7: fits\n"), outcome)
        for word in ["Memory", "Weights", "CLIP-L", "Time", "in all"]:
            self.assertIn(word, outcome.out)
        for line in outcome.out.splitlines():
            self.assertLessEqual(len(line), 80, line)

    def test_sizes_of_memory(self):
        for text, size in [("8G", 8 << 30), ("1536M", 1536 << 20), ("900MiB", 900 << 20), ("1.5gib", 3 << 29), ("4096MB", 4 << 30), ("3000000000", 3000000000)]:
            self.assertEqual(self.plan("--ram", text)[0]["budget_bytes"]["host"], size)

    def test_what_does_not_fit_is_3(self):
        document, outcome = self.plan("--ram", "1M", code=3)
        self.assertIs(document["fits"], False)
        self.assertIn("does not fit", outcome.err)
        self.assertIn("--ram", outcome.err)

    def test_generate_says_what_is_streamed(self):
        demo = ["a cat", "--model", REPOSITORY / "models" / "demo", "--dtype", "f32"]
        streamed = {}  # of budgets in MiB
        for mib in range(230, 80, -2):  # a process takes some 100 KiB more or less each time: a budget in the middle of its kind
            streamed[mib] = self.plan("--ram", f"{mib}M", *demo)[0]["streamed_bytes_per_step"]
            if 0 < streamed[mib] == streamed.get(mib + 2) == streamed.get(mib + 4):
                break
        demo += ["--ram", f"{mib + 2}M"]
        document = json.loads(self.generate("--json", *demo).out)
        self.assertEqual(document["streamed_bytes_per_step"], streamed[mib])
        told, advice = self.generate(*demo).err, self.plan(*demo)[0]["advice"][0]
        said = re.search(r"(?m)^(\d+ of the transformer's 7 parts stay in memory, .*; a larger budget would keep all)\. Allow --ram (\d+M)\.$", told)
        self.assertEqual(said[1], advice.split(". Allow --ram ")[0])
        self.assertEqual(self.plan(*demo[:-1], said[2])[0]["streamed_bytes_per_step"], 0)
        for silent in ["--json", "--quiet"]:
            self.assertNotIn("stay", self.generate(silent, *demo).err)
        self.assertNotIn("stay", self.generate(*demo[:-2]).err)

    def test_verbose_tells_what_the_library_does(self):
        self.assertNotRegex(self.generate("a cat").err, "(?m)^(opened|loaded): ")
        outcome = self.generate("a cat", "--verbose")
        told = re.findall(r"(?m)^([a-z_]+): ", outcome.err)
        for event in ["opened", "device", "planned", "placed", "loaded", "drawn"]:
            self.assertIn(event, told, outcome.err)
        self.assertEqual(len(outcome.out.split()), 1)

    def test_a_picture_from_embeddings_is_not_drawn_from_its_prompt(self):
        request = json.dumps({"prompt": "only words", "embeddings": "0123456789abcdef", "width": 48, "height": 64})
        write_png(self.folder / "given.png", {"fude": request})
        self.assert_refused(self.run_fude("generate", "--from", "given.png"), 2, "embeddings", "0123456789abcdef")

    def test_rates_are_measured_once(self):
        first = self.plan()[0]
        if not (self.home / "calibration.json").exists():
            self.skipTest("what is measured beside other programs is not kept")
        self.assertEqual(first["predicted_seconds"], self.plan()[0]["predicted_seconds"])

    def test_a_first_picture_is_predicted_too(self):
        predicted = self.draw("a cat")["predicted_seconds"]
        self.assertGreater(min(predicted[stage] for stage in ["encode", "denoise", "decode"]), 0)

    def test_a_card_that_is_not_here(self):
        self.assert_refused(self.run_fude("plan", "--card", "rtx4600"), 2, "rtx4600", "rtx4060")
        self.assert_refused(self.run_fude("plan", "--card", "rtx4060", "--device", "cpu"), 2, "--card", "--device")
        outcome = self.run_fude("plan", *SMALL, "--card", "rtx4060", "--json")
        document = json.loads(outcome.out)
        self.assertEqual((document["projected"], document["budget_bytes"]["device"]), (True, (8188 - 512) << 20))  # some is left to others
        self.assert_refused(self.run_fude("generate", "a cat", "--card", "rtx4060"), 2, "--card")


class Pictures(CommandLine):
    def test_json_has_the_shape_of_the_contract(self):
        document = self.draw("a cat", "--seed", "18446744073709551615", "--count", "1")
        self.assertEqual(set(document), {"images", "seconds", "predicted_seconds", "step_seconds", "peak_bytes", "planned_bytes",
                                         "streamed_bytes_per_step", "device", "dtype", "model", "t5", "request"})
        self.assertEqual(set(document["seconds"]), {"load", "encode", "denoise", "decode", "save", "total"})
        self.assertEqual(set(document["peak_bytes"]), {"host", "device"})
        self.assertEqual(set(document["planned_bytes"]), {"host", "device"})
        self.assertGreater(document["peak_bytes"]["host"], 1 << 20)
        self.assertGreater(document["planned_bytes"]["host"], 0)
        self.assertEqual(len(document["step_seconds"]), 2)
        self.assertGreater(document["seconds"]["total"], 0)
        self.assertEqual((document["device"], document["model"]), ("cpu", "dual"))
        self.assertIn(document["dtype"], ["f32", "bf16"])
        (image,) = document["images"]
        self.assertEqual(set(image), {"path", "seed", "width", "height", "sha256", "id"})
        self.assertEqual((image["width"], image["height"], image["seed"]), (64, 64, 18446744073709551615))
        self.assertEqual(undated(image["path"]), "outputs/DAY/00001-18446744073709551615.png")
        self.assertEqual(hashlib.sha256((self.folder / image["path"]).read_bytes()).hexdigest(), image["sha256"])
        self.assertEqual(document["request"]["seed"], 18446744073709551615)
        self.assertEqual((document["request"]["steps"], document["request"]["prompt"]), (2, "a cat"))

    def test_paths_are_all_that_standard_output_gets(self):
        outcome = self.generate("a cat", "--seed", "7", "--count", "2", "--out", "my pictures")
        self.assertEqual(outcome.code, 0, outcome)
        self.assertEqual(undated(outcome.out).splitlines(), ["my pictures/DAY/00001-7.png", "my pictures/DAY/00002-8.png"])
        self.assertEqual(self.files(), sorted(outcome.out.splitlines()))
        self.assertIn("denoise", outcome.err)
        self.assertNotIn("\x1b", outcome.err)
        self.assertNotIn("\r", outcome.err)
        quiet = self.generate("a cat", "--seed", "7", "--quiet")
        self.assertEqual((quiet.code, quiet.err), (0, ""), quiet)

    def test_a_random_seed_is_printed(self):
        outcome = self.generate("a cat", "--seed", "random")
        (seed,) = re.findall(r"^seed (\d+)$", outcome.err, re.M)
        self.assertLess(int(seed), 1 << 32)
        self.assertTrue(outcome.out.strip().endswith(f"/00001-{seed}.png"), outcome)

    def test_prompts_from_file_and_standard_input(self):
        (self.folder / "prompt.txt").write_text("\ufeff温泉のカピバラ\nat night\n", encoding="utf-8")
        for arguments, more in [(["-p", "@prompt.txt"], {}), (["-"], {"stdin": "温泉のカピバラ\nat night\n"})]:
            document = self.draw(*arguments, **more)
            self.assertEqual(document["request"]["prompt"], "温泉のカピバラ\nat night")

    def test_aliases_mean_the_same(self):
        document = self.draw("--prompt", "a cat", "--negative-prompt", "dogs", "--num-inference-steps", "1", "--guidance-scale", "3",
                             "--num-images-per-prompt", "2", "--seed", "1")
        request = document["request"]
        self.assertEqual((request["negative"], request["steps"], request["guidance"], request["count"]), ("dogs", 1, 3, 2))
        self.assertEqual(self.draw("a cat", "--cfg-scale", "4.5")["request"]["guidance"], 4.5)

    def test_metadata_is_read_as_a1111_reads_it(self):
        prompt = "温泉のカピバラ, 木版画: 冬\n「二行目」"
        document = self.draw(prompt, "--negative", "ぼやけた", "--seed", "42", "--guidance", "4.5")
        texts = png_texts(self.folder / document["images"][0]["path"])
        lines, fields = a1111_parameters(texts["parameters"])
        self.assertEqual("\n".join(lines), prompt + "\nNegative prompt: ぼやけた")
        for name, value in {"Steps": "2", "Sampler": "Euler", "CFG scale": "4.5", "Seed": "42", "Size": "64x64", "Model": "dual"}.items():
            self.assertEqual(fields[name], value)
        self.assertTrue(fields["Version"].startswith("fude "))
        exact = json.loads(texts["fude"])
        self.assertEqual((exact["prompt"], exact["seed"], exact["noise"]), (prompt, 42, "torch-cpu"))
        self.assertEqual(set(texts), {"parameters", "fude"})  # nothing that changes from run to run
        self.assertNotIn(str(MODEL.parent), str(texts))  # no paths of this machine

    def test_pictures_keep_samplers_and_guidance(self):
        document = self.draw("a cat", "--sampler", "euler_ancestral", "--schedule", "Karras", "--guidance", "3", "--seed", "8",
                             "--guidance-rescale", "0.7", "--skip-layers", "0", "--skip-scale", "2", "--skip-end", "0.9")
        request = document["request"]
        self.assertEqual((request["sampler"], request["schedule"], request["guidance_rescale"]), ("euler_ancestral", "karras", 0.7))
        self.assertEqual(request["skip_layers"], {"layers": [0], "scale": 2, "start": 0.01, "end": 0.9})
        picture = document["images"][0]
        _, fields = a1111_parameters(png_texts(self.folder / picture["path"])["parameters"])
        for name, value in {"Sampler": "Euler a", "Schedule type": "Karras", "CFG rescale": "0.7", "Skip layers": "0"}.items():
            self.assertEqual(fields[name], value)
        again = self.run_fude("generate", "--from", picture["path"], "--json", "--threads", "1")
        self.assertEqual(again.code, 0, again)
        self.assertEqual(json.loads(again.out)["images"][0]["sha256"], picture["sha256"])
        self.assert_refused(self.generate("a cat", "--skip-layers", "0,7"), 2, "--skip-layers", "layer 7", "the last of this model is 1")
        self.assert_refused(self.generate("a cat", "--skip-scale", "2"), 2, "--skip-layers 7,8,9")
        self.assertIn("--guidance", self.generate("a cat", "--skip-layers", "0", "--guidance", "1").err)

    def test_from_repeats_a_picture(self):
        document = self.draw("a cat, 温泉", "--negative", "dogs", "--seed", str(2**63 + 5), "--guidance", "4.5", "--count", "2",
                             "--noise", "torch-cpu-bf16", "--shift", "2.5")
        second = document["images"][1]
        again_outcome = self.run_fude("generate", "--from", second["path"], "--json", "--threads", "1")
        self.assertEqual(again_outcome.code, 0, again_outcome)
        again = json.loads(again_outcome.out)["images"]
        self.assertEqual([image["sha256"] for image in again], [second["sha256"]])
        self.assertNotIn("drawn with the model", again_outcome.err)
        other = self.run_fude("generate", "--from", second["path"], "--steps", "1", "--model", FIXTURES / "plain")
        self.assertEqual(other.code, 0, other)
        self.assertRegex(other.err, r'(?m)^warning: .*drawn with the model "dual", this is "plain"')
        changed = self.run_fude("generate", "--from", second["path"], "--json", "--seed", "3", "--steps", "1", "a dog")
        request = json.loads(changed.out)["request"]
        self.assertEqual((request["seed"], request["steps"], request["prompt"], request["guidance"]), (3, 1, "a dog", 4.5))

    def test_vae_tiling_goes_with_the_picture(self):
        whole = self.draw("a cat", "--seed", "1")["images"][0]["path"]
        tiled = self.draw("a cat", "--seed", "1", "--vae-tiling")["images"][0]["path"]
        self.assertEqual(png_pixels(self.folder / whole), png_pixels(self.folder / tiled))  # it is not larger than a tile
        self.assertNotIn("tiling", str(png_texts(self.folder / whole)))
        texts = png_texts(self.folder / tiled)
        self.assertIs(json.loads(texts["fude"])["vae_tiling"], True)
        self.assertEqual(a1111_parameters(texts["parameters"])[1]["VAE tiling"], "on")
        again = self.run_fude("generate", "--from", tiled, "--json")
        self.assertIs(json.loads(again.out)["request"]["vae_tiling"], True, again)
        self.assertIn("decode      in tiles", self.run_fude("history", "show", "2").out)
        for arguments in [["--from", tiled], ["--from", whole, "--vae-tiling"]]:
            refined = self.run_fude("refine", *arguments, "--steps", "1", "--json")
            self.assertEqual(refined.code, 0, refined)
            path = json.loads(refined.out)["images"][0]["path"]
            self.assertIs(json.loads(png_texts(self.folder / path)["fude"])["vae_tiling"], True)

    def test_vae_tiling_goes_with_a_session(self):
        for command in [["gacha", "--count", "2"], ["sweep", "--steps", "1,2"]]:
            outcome = self.run_fude(command[0], "a cat", "--vae-tiling", *command[1:], "-W", "64", "-H", "64", "--guidance", "1", "--json")
            self.assertEqual(outcome.code, 0, outcome)
            document = json.loads(outcome.out)
            stored = [json.loads(png_texts(self.folder / cell["path"])["fude"]) for cell in document["cells"]]
            self.assertEqual([request["vae_tiling"] for request in stored], [True, True])
            (self.folder / document["cells"][0]["path"]).unlink()
            again = self.run_fude(command[0], "--resume", document["folder"], "--json")
            self.assertEqual(again.code, 0, again)
            self.assertIs(json.loads(png_texts(self.folder / document["cells"][0]["path"])["fude"])["vae_tiling"], True)

    def from_picture(self, parameters, *arguments):
        """The request that was drawn, and the warning that told of it."""
        picture = self.folder / "other.png"
        write_png(picture, {"parameters": parameters})
        outcome = self.run_fude("generate", "--from", picture, "--steps", "1", "--json", *arguments)
        self.assertEqual(outcome.code, 0, outcome)
        (warning,) = re.findall(r"^warning: (.*other\.png.*)$", outcome.err, re.M)
        return json.loads(outcome.out)["request"], warning

    def test_from_takes_what_a1111_wrote(self):
        picture = self.folder / "a1111.png"
        write_png(picture, {"parameters": "a cat\nNegative prompt: dogs\nSteps: 1, Sampler: Euler, Schedule type: Simple, CFG scale: 3, "
                                          "Seed: 9, Size: 48x64, Model hash: abc, Model: other, Version: v1.10"})
        outcome = self.run_fude("generate", "--from", picture, "--json")
        self.assertEqual(outcome.code, 0, outcome)
        request = json.loads(outcome.out)["request"]
        self.assertEqual((request["prompt"], request["negative"], request["steps"], request["guidance"], request["seed"], request["width"],
                          request["height"]), ("a cat", "dogs", 1, 3, 9, 48, 64))
        (warning,) = re.findall(r"^warning: (.*)$", outcome.err, re.M)  # one for the picture, whatever it leaves out
        self.assertIn("AUTOMATIC1111", warning)
        self.assertIn('the model "other"', warning)

    def test_from_takes_the_nearest_sampler(self):
        request, warning = self.from_picture("a cat\nSteps: 9, Sampler: DPM++ 3M Karras, CFG scale: 3, Seed: 5, Size: 64x64")
        self.assertEqual((request["sampler"], request["schedule"], request["seed"]), ("euler", "karras", 5))
        self.assertIn("sampler DPM++ 3M (euler is the nearest)", warning)
        self.assertIn("schedule karras. Left out", warning)
        request, warning = self.from_picture("a cat\nSteps: 9, Sampler: Euler KL Optimal, CFG scale: 3, Seed: 5, Size: 64x64")
        self.assertEqual(request["sampler"], "euler")
        self.assertIn("schedule KL Optimal", warning)

    def test_from_draws_a_random_seed_where_none_is_stored(self):
        size = ["-W", "64", "-H", "64"]
        seeds = set()
        for parameters in ["time: noon, place: sea, mood: calm", "a cat\nSteps: 9, CFG scale: 3, Seed: -1"]:
            request, warning = self.from_picture(parameters, *size)
            self.assertEqual(request["prompt"], parameters.split("\n")[0])
            self.assertIn("the seed (a random one is drawn)", warning)
            self.assertNotIn("the size", warning)
            seeds.add(request["seed"])
        self.assertEqual(len(seeds), 2)
        request, warning = self.from_picture("a cat", *size, "--seed", "7")
        self.assertEqual(request["seed"], 7)
        self.assertNotIn("the seed", warning)
        for command in [["gacha", "--count", "1"], ["sweep", "--guidance", "1,2"]]:
            outcome = self.run_fude(*command, "--from", "other.png", "--steps", "1", *size, "--json")
            self.assertEqual(outcome.code, 0, outcome)
            seeds |= {cell["seed"] for cell in json.loads(outcome.out)["cells"]}
        self.assertEqual(len(seeds), 4)

    def test_options_win_before_a_stored_value_is_judged(self):
        large = "a cat\nSteps: 5000, CFG scale: 1e9, Seed: 5, Size: 4000x4000"
        request, _ = self.from_picture(large, "-W", "64", "-H", "48", "--guidance", "2")
        self.assertEqual((request["width"], request["height"], request["steps"], request["guidance"]), (64, 48, 1, 2))
        self.assert_refused_after_warning(self.run_fude("generate", "--from", "other.png", "--steps", "1", "--guidance", "2"), "4000")
        self.assert_refused_after_warning(self.run_fude("generate", "--from", "other.png", "-W", "64", "-H", "64", "--guidance", "2"), "5000")

    def assert_refused_after_warning(self, outcome, word):
        self.assertEqual(outcome.code, 2, outcome)
        self.assertRegex(outcome.err, f"(?m)^error: .*{word}")

    def test_from_needs_a_prompt_that_is_text(self):
        write_png(self.folder / "json.png", {"parameters": '{"seed": 5, "other": "things"}'})
        arguments = ["generate", "--from", "json.png", *SMALL]
        self.assert_refused(self.run_fude(*arguments), 2, "prompt could not be found", "--prompt")
        outcome = self.run_fude(*arguments, "a cat", "--json")
        self.assertEqual(outcome.code, 0, outcome)
        self.assertEqual(json.loads(outcome.out)["request"]["prompt"], "a cat")

    def test_a_picture_that_was_saved_again_keeps_its_text(self):
        path = self.folder / self.draw("a cat, café", "--seed", "5", "--shift", "2.5")["images"][0]["path"]
        write_png(self.folder / "again.png", {"parameters": png_texts(path)["parameters"]})
        outcome = self.run_fude("generate", "--from", "again.png", "--json")
        self.assertEqual(outcome.code, 0, outcome)
        request = json.loads(outcome.out)["request"]
        self.assertEqual((request["prompt"], request["seed"], request["shift"], request["steps"]), ("a cat, café", 5, 2.5, 2))
        self.assertIn("saved again", outcome.err)

    def test_refine_takes_a_picture_of_another_program(self):
        write_png(self.folder / "other.png", {"parameters": "a cat\nSteps: 9, Sampler: Restart, CFG scale: 3, Seed: 5, Size: 48x64"})
        outcome = self.run_fude("refine", "--from", "other.png", "--steps", "1", "--json")
        self.assertEqual(outcome.code, 0, outcome)
        path = self.folder / json.loads(outcome.out)["images"][0]["path"]
        exact = json.loads(png_texts(path)["fude"])
        self.assertEqual((exact["prompt"], exact["seed"], exact["width"], exact["height"], exact["steps"]), ("a cat", 5, 48, 64, 1))
        self.assertIn("sampler Restart (euler is the nearest)", outcome.err)

    def test_samplers_are_known_by_other_names(self):
        for name in ["Euler", "EULER", "k_euler", "FlowMatchEulerDiscreteScheduler"]:
            self.assertEqual(self.draw("a cat", "--sampler", name)["request"]["sampler"], "euler")
        self.assert_refused(self.generate("a cat", "--sampler", "DPM++ 9M"), 2, "DPM++ 9M", "Use one of: euler")
        outcome = self.run_fude("sweep", "a cat", "--sampler", "Euler,euler", *SMALL, "--json")
        self.assertEqual(outcome.code, 0, outcome)
        self.assertEqual(len(json.loads(outcome.out)["cells"]), 1)

    def test_syntax_of_other_programs_is_named_once(self):
        outcome = self.generate("a (cat:1.3), [dog], <lora:x:0.8> BREAK __animal__ {red|blue}", "--negative", "(worst quality:1.4)")
        (warning,) = re.findall(r"^warning: (.*plain text.*)$", outcome.err, re.M)
        for piece in ["(cat:1.3)", "[dog]", "<lora:x:0.8>", "BREAK", "fude gacha"]:
            self.assertIn(piece, warning)
        self.assertNotIn("plain text", self.generate("a {cat} (sitting) on a bench").err)
        gacha = ["gacha", "--count", "2", "--steps", "1", "-W", "64", "-H", "64"]
        outcome = self.run_fude(*gacha, "a {2::red|blue} {cat}", "--json")
        self.assertEqual(outcome.code, 0, outcome)
        (warning,) = re.findall(r"^warning: (.*plain text.*)$", outcome.err, re.M)
        self.assertIn("{2::red|blue}", warning)
        for cell in json.loads(outcome.out)["cells"]:
            self.assertTrue(json.loads(png_texts(self.folder / cell["path"])["fude"])["prompt"].endswith(" {cat}"))

    def test_from_refuses_what_holds_no_request(self):
        plain, text = self.folder / "plain.png", self.folder / "text.png"
        write_png(plain, {})
        text.write_text("not a picture")
        cut = self.folder / "cut.png"
        cut.write_bytes(plain.read_bytes()[:20])
        hostile = self.folder / "hostile.png"
        write_png(hostile, {"fude": '{"steps": 1e999, "width": "x"}'})
        for picture in [plain, text, cut, hostile]:
            with self.subTest(picture=picture.name):
                self.assert_refused(self.run_fude("generate", "--from", picture), 2, picture.name)
        self.assert_refused(self.run_fude("generate", "--from", self.folder / "none.png"), 1, "none.png")

    def test_trace_holds_every_stage(self):
        outcome = self.generate("a cat", "--seed", "1", "--trace", "stages/trace.safetensors")
        self.assertEqual(outcome.code, 0, outcome)
        data = (self.folder / "stages/trace.safetensors").read_bytes()
        (length,) = struct.unpack("<Q", data[:8])
        header = json.loads(data[8 : 8 + length])
        for name in ["tokens.clip_l", "tokens.clip_g", "tokens.t5", "embeddings", "pooled", "noise", "latents.000", "latents.001", "decoded",
                     "image"]:
            self.assertIn(name, header)
        self.assertEqual((header["image"]["dtype"], header["image"]["shape"]), ("U8", [64, 64, 3]))
        self.assertEqual(header["decoded"]["dtype"], "F32")

    def test_a_prompt_is_encoded_once(self):
        first = self.generate("a cat", "--seed", "1")
        self.assertIn("encode", first.err)
        kept = [path for path in self.home.rglob("embeddings/*.safetensors")]
        self.assertEqual(len(kept), 2)  # the prompt and the empty negative one
        again = self.generate("a cat", "--seed", "1")
        self.assertNotIn("encode  ", again.err)
        self.assertEqual(*(png_pixels(self.folder / outcome.out.strip()) for outcome in [first, again]))
        self.assertIn("encode  ", self.generate("a cat", "--seed", "1", "--no-cache").err)
        self.generate("a dog", "--no-cache")
        self.assertEqual([path for path in self.home.rglob("embeddings/*.safetensors")], kept)

    def test_processes_share_a_folder(self):
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            outcomes = list(pool.map(lambda i: self.generate("a cat", "--seed", str(i), "--count", "3", "--steps", "1", "--quiet"), range(4)))
        self.assertEqual([outcome.code for outcome in outcomes], [0] * 4, "\n".join(map(str, outcomes)))
        names = [pathlib.Path(path).name for outcome in outcomes for path in outcome.out.split()]
        self.assertEqual(sorted(name.split("-")[0] for name in names), [f"{i:05}" for i in range(1, 13)])
        self.assertEqual([pathlib.Path(file).name for file in self.files()], sorted(names))


class Disk(CommandLine):
    def assert_nothing_left(self, folder):
        self.assertEqual([path for path in folder.rglob("*") if path.is_file()], [])

    def test_a_file_in_the_way_of_the_folder(self):
        (self.folder / "outputs").write_text("a file")
        self.assert_refused(self.generate("a cat"), 1, "outputs")

    @posix
    def test_a_folder_that_may_not_be_written(self):
        locked = "/proc/fude"  # not even root writes there
        if os.geteuid() != 0:
            locked = self.folder / "locked"
            locked.mkdir(mode=0o500)
        self.assert_refused(self.generate("a cat", "--out", locked), 1, locked)

    @posix
    def test_full_standard_output(self):
        if not os.path.exists("/dev/full"):
            self.skipTest("no /dev/full here")
        with open("/dev/full", "w") as full:
            outcome = self.generate("a cat", "--seed", "1", stdout=full)
        self.assertEqual(outcome.code, 1, outcome)
        self.assertIn("error: cannot write to standard output", outcome.err)

    def test_a_full_disk(self):
        with self.small_disk(16) as disk:
            (disk / "filler").write_bytes(b"x" * 8192)
            outcome = self.generate("a cat", "--seed", "1", "--out", disk / "out")
            self.assertEqual((outcome.code, outcome.out), (1, ""), outcome)
            self.assertRegex(outcome.err, r"(?m)^error: .*disk/out.*No space left")
            (disk / "filler").unlink()
            self.assert_nothing_left(disk)

    def test_a_disk_too_small_for_the_trace(self):
        with self.small_disk(64) as disk:
            outcome = self.generate("a cat", "--seed", "1", "--trace", disk / "trace.safetensors", "--quiet")
            self.assertEqual(outcome.code, 1, outcome)
            self.assertIn("trace.safetensors", outcome.err)
            self.assert_nothing_left(disk)


class Interrupt(CommandLine):
    def start(self, *arguments, **more):
        return subprocess.Popen([FUDE, "generate", *SMALL, *map(str, arguments)], cwd=self.folder, env=self.environment(), text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler), **more)

    def test_keeps_what_is_finished(self):
        process = self.start("a cat", "--seed", "1", "--count", "1000", "--out", "out")
        first = process.stdout.readline().strip()
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 130, errors)
        paths = [first, *rest.split()]
        self.assertLess(len(paths), 1000)
        self.assertIn("stopped", errors)
        self.assertIn(first, errors)
        self.assertEqual(self.files(), sorted(paths))
        for path in paths:
            png_texts(self.folder / path)

    def test_stops_within_the_first_picture(self):
        process = self.start("a cat", "--seed", "1", "--steps", "1000", "--out", "out")
        for line in process.stderr:
            if line.startswith(("load", "encode")):
                break
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=PATIENCE)
        self.assertEqual((process.returncode, out), (130, ""), errors)
        self.assertNotIn("1000 steps", errors)
        self.assertEqual(self.files(), [])


class Terminal(CommandLine):
    def run_in_terminal(self, *arguments, columns=80, **environment):
        if WINDOWS:
            self.skipTest("Wine has no terminal of its own")
        try:
            leader, follower = pty.openpty()
        except OSError as error:
            self.skipTest(f"no pseudo-terminals here: {error}")
        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        process = subprocess.Popen([FUDE, "generate", *SMALL, *map(str, arguments)], cwd=self.folder, env=self.environment(**environment),
                                   stdout=subprocess.PIPE, stderr=follower)
        os.close(follower)
        shown = b""
        with contextlib.suppress(OSError):  # the end of a terminal
            while piece := os.read(leader, 65536):
                shown += piece
        os.close(leader)
        process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 0, shown)
        return shown.decode("utf-8")

    def test_the_bar(self):
        shown = self.run_in_terminal("a cat", "--seed", "1")
        self.assertIn("2/2", shown)
        self.assertIn("/step", shown)
        self.assertIn("\x1b[36m", shown)
        self.assertIn("━", shown)

    def test_the_bar_without_colours_and_unicode(self):
        shown = self.run_in_terminal("a cat", "--seed", "1", LC_ALL="C", NO_COLOR="1")
        self.assertNotIn("\x1b[36m", shown)
        self.assertIn("#", shown)
        self.assertNotIn("\x1b[36m", self.run_in_terminal("a cat", "--seed", "1", "--no-color"))

    def test_no_line_is_wider_than_the_terminal(self):
        for columns in [20, 40, 132]:
            shown = self.run_in_terminal("a cat", "--seed", "1", columns=columns)
            lines = re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;]*[mK]", "", shown))
            steps = [line for line in lines if line.startswith("denoise")]
            self.assertGreaterEqual(len(steps), 2)  # the first and the last step are always drawn
            for line in lines:
                self.assertLessEqual(len(line), columns)

    def test_quiet(self):
        self.assertEqual(self.run_in_terminal("a cat", "--seed", "1", "--quiet"), "")
        self.assertEqual(len(self.files()), 1)


class Models(CommandLine):
    def test_inspect(self):
        outcome = self.run_fude("model", "inspect", MODEL, "--json")
        self.assertEqual(outcome.code, 0, outcome)
        document = json.loads(outcome.out)
        self.assertEqual({component["name"] for component in document["components"]}, {"clip_l", "clip_g", "t5", "transformer", "vae"})
        for component in document["components"]:
            self.assertEqual(sum(component["parameters_by_dtype"].values()), component["parameters"])
        self.assertEqual(sum(component["parameters"] for component in document["components"]), document["parameters"])
        absent = json.loads(self.run_fude("model", "inspect", FIXTURES / "no_t5", "--json").out)["absent"]
        self.assertEqual(absent, ["t5"])
        text = self.run_fude("model", "inspect", "--model", MODEL)
        self.assertEqual(text.code, 0, text)
        self.assertRegex(text.out, r"transformer +\S+ [kMB] ")

    def test_verify(self):
        sound = self.run_fude("model", "verify", MODEL)
        self.assertEqual((sound.code, sound.err), (0, ""), sound)
        self.assertIn("is sound", sound.out)
        broken = self.folder / "broken"
        shutil.copytree(MODEL, broken)
        weights = next((broken / "transformer").glob("*.safetensors"))
        data = bytearray(weights.read_bytes())
        (length,) = struct.unpack("<Q", data[:8])
        header = json.loads(data[8 : 8 + length])
        name, entry = next((name, entry) for name, entry in header.items() if name.endswith("attn.to_q.weight"))
        self.assertEqual(entry["dtype"], "F16")
        at = 8 + length + entry["data_offsets"][0]
        data[at : at + 2] = struct.pack("<H", 0x7E00)  # NaN
        weights.write_bytes(data)
        outcome = self.run_fude("model", "verify", broken, "--json")
        self.assertEqual(outcome.code, 4, outcome)
        document = json.loads(outcome.out)
        self.assertFalse(document["sound"])
        self.assertEqual([(finding["kind"], finding["component"]) for finding in document["findings"]], [("non-finite", "transformer")])
        drawn = self.generate("a cat", "--model", broken)
        self.assertEqual((drawn.code, drawn.out), (1, ""), drawn)
        self.assertIn("error: the transformer", drawn.err)
        self.assertEqual([file for file in self.files() if file.endswith(".png")], [])

    def test_verify_refuses_what_generate_refuses(self):
        alone = MODEL / "transformer" / "diffusion_pytorch_model.safetensors"
        verified = self.run_fude("model", "verify", alone)
        self.assertEqual(verified.code, 4, verified)
        self.assertIn("its tensors are sound, but it cannot be drawn with", verified.out)
        drawn = self.generate("a cat", "--model", alone)
        inspected = self.run_fude("model", "inspect", alone)
        self.assertEqual(inspected.code, 0, inspected)
        self.assert_refused(drawn, 4)
        for option in ["--clip-l", "--clip-g", "--vae", "--tokenizers"]:
            for text in [verified.out, drawn.err, inspected.out]:
                self.assertIn(option, text)
        document = json.loads(self.run_fude("model", "verify", alone, "--json").out)
        self.assertEqual((document["sound"], document["findings"], len(document["faults"])), (False, [], 4))

        other = self.folder / "other"
        shutil.copytree(MODEL, other)
        shutil.rmtree(other / "tokenizer")
        shutil.copytree(REPOSITORY / "models" / "demo" / "tokenizer", other / "tokenizer")
        verified = self.run_fude("model", "verify", other)
        self.assertEqual(verified.code, 4, verified)
        self.assertIn("has 1647 ids, its text encoder clip_l has rows for 814", verified.out)
        self.assert_refused(self.generate("a cat", "--model", other), 4, "has 1647 ids")

    def test_scales_that_are_not_understood(self):
        broken = self.folder / "broken"
        shutil.copytree(MODEL, broken)
        weights = broken / "transformer" / "diffusion_pytorch_model.safetensors"
        data = weights.read_bytes()
        (length,) = struct.unpack("<Q", data[:8])
        header, data = json.loads(data[8 : 8 + length]), data[8 + length :]
        name = next(name for name in header if name.endswith("ff.net.2.weight"))
        scale = name.replace(".weight", ".weight_scale_inv")
        body, out = b"", {}
        for key, entry in header.items():
            if key == "__metadata__":
                continue
            begin, end = entry["data_offsets"]
            value = data[begin:end]
            if key == name:
                value, entry["dtype"] = b"\x38" * (len(value) // 2), "F8_E4M3"
            out[key] = {**entry, "data_offsets": [len(body), len(body) + len(value)]}
            body += value
        out[scale] = {"dtype": "F32", "shape": [1], "data_offsets": [len(body), len(body) + 4]}
        text = json.dumps(out).encode()
        weights.write_bytes(struct.pack("<Q", len(text)) + text + body + struct.pack("<f", 0.5))
        self.assert_refused(self.generate("a cat", "--model", broken), 4, scale, "scale_weight")
        verified = self.run_fude("model", "verify", broken)
        self.assertEqual(verified.code, 4, verified)
        self.assertIn(f'not understood: transformer "{scale}"', verified.out)
        inspected = self.run_fude("model", "inspect", broken, "--json")
        self.assertEqual(inspected.code, 0, inspected)
        self.assertIn(scale, json.loads(inspected.out)["faults"][0])

    def test_defaults_are_the_models_own(self):
        own = self.folder / "own"
        shutil.copytree(MODEL, own)
        (own / "fude.json").write_text('{"kind": "mine", "steps": 3, "guidance": 2.5}')
        where = {"FUDE_MODEL": str(own)}
        defaults = json.loads(self.run_fude("model", "inspect", "--json", **where).out)["defaults"]
        self.assertEqual(defaults, {"kind": "mine", "steps": 3, "guidance": 2.5, "least_side": None, "most_side": None})
        self.assertIn("mine; its own: 3 steps, guidance 2.5", self.run_fude("model", "inspect", **where).out)
        for command in ["generate", "sweep", "gacha"]:
            self.assertIn("the model's own", self.run_fude(command, "--help").out)

        sides = ["-W", "64", "-H", "64", "--threads", "1", "--seed", "1"]
        drawn = json.loads(self.run_fude("generate", "a cat", *sides, "--json", **where).out)
        self.assertEqual((drawn["request"]["steps"], drawn["request"]["guidance"]), (3, 2.5))
        planned = json.loads(self.run_fude("plan", *sides, "--json", **where).out)
        self.assertEqual((planned["request"]["steps"], planned["request"]["guidance"]), (3, 2.5))
        for command in [["sweep", "a cat", "--seed", "1,2"], ["gacha", "a cat", "--count", "2"]]:
            folder = json.loads(self.run_fude(*command, "-W", "64", "-H", "64", "--threads", "1", "--json", **where).out)["folder"]
            request = json.loads((self.folder / folder / "session.json").read_text())["request"]
            self.assertEqual((request["steps"], request["guidance"]), (3, 2.5))
        refined = json.loads(self.run_fude("refine", "1", "--threads", "1", "--json", **where).out)
        self.assertEqual(json.loads(png_texts(self.folder / refined["images"][0]["path"])["fude"])["steps"], 6)
        foreign = self.folder / "foreign.png"
        write_png(foreign, {"parameters": "a cat\nSteps: 5, Sampler: Euler, Seed: 4, Size: 64x64"})
        drawn = json.loads(self.run_fude("generate", "--from", foreign, "--threads", "1", "--json", **where).out)
        self.assertEqual((drawn["request"]["steps"], drawn["request"]["guidance"], drawn["request"]["seed"]), (5, 2.5, 4))
        self.assert_refused(self.run_fude("generate", "a cat", "--steps", "0", **where), 2, "--steps")

    def test_a_picture_tells_that_it_was_drawn_without_t5(self):
        without = {"FUDE_MODEL": str(FIXTURES / "no_t5")}
        outcome = self.generate("a cat", "--seed", "3", "--json", **without)
        self.assertEqual(outcome.code, 0, outcome)
        self.assertEqual(outcome.err.count("has no T5"), 1, outcome)
        document = json.loads(outcome.out)
        self.assertIs(document["t5"], False)
        picture = self.folder / document["images"][0]["path"]
        texts = png_texts(picture)
        self.assertIs(json.loads(texts["fude"])["t5"], False)
        self.assertIn("T5: off", texts["parameters"])
        entry = json.loads(self.run_fude("history", "show", document["images"][0]["id"], "--json").out)
        self.assertIs(entry["t5"], False)
        again = self.generate("--from", picture, "--json", **without)
        self.assertNotIn("has no T5", again.err)
        self.assertEqual(json.loads(again.out)["images"][0]["sha256"], document["images"][0]["sha256"])
        self.assertIs(json.loads(self.generate("--from", picture, "--json").out)["t5"], False)
        with_t5 = self.generate("--from", picture, "--json", "--t5", MODEL / "text_encoder_3")
        self.assertIs(json.loads(with_t5.out)["t5"], True, with_t5)
        self.assertIs(self.draw("a cat", "--seed", "3")["t5"], True)

    def test_a_negative_prompt_that_does_nothing_is_told(self):
        self.assertIn("the negative prompt does nothing", self.generate("a cat", "-n", "dogs", "--guidance", "1").err)
        self.assertNotIn("does nothing", self.generate("a cat", "-n", "dogs", "--guidance", "2").err)

    def test_doctor(self):
        document = json.loads(self.run_fude("doctor", "--json").out)
        self.assertIn("cpu", [device["name"] for device in document["devices"]])
        self.assertEqual(document["models"]["FUDE_MODEL"], str(MODEL))
        text = self.run_fude("doctor")
        self.assertEqual(text.code, 0, text)
        self.assertIn("Devices", text.out)

    @posix
    def test_a_report_for_somebody_else(self):
        self.draw("a secret prompt", "--seed", "1")
        outcome = self.run_fude("doctor", "--report", "report.json")
        self.assertEqual(outcome.code, 0, outcome)
        self.assertIn("Devices", outcome.out)
        text = (self.folder / "report.json").read_text(encoding="utf-8")
        report = json.loads(text)
        self.assertGreater(report["memory_bytes"], report["free_memory_bytes"])
        self.assertGreater(report["cores"], 0)
        self.assertIn("code page of the console" if WINDOWS else "release", report["system"])
        self.assertNotIn("secret", text)

    def test_the_hub_cache_is_found_as_its_own_libraries_find_it(self):
        for variable, root, hub in [("HF_HUB_CACHE", "a", "a"), ("HF_HOME", "b", "b/hub"), ("XDG_CACHE_HOME", "c", "c/huggingface/hub"),
                                    ("HOME", "d", "d/.cache/huggingface/hub")]:
            model = self.folder / hub / "models--someone--stable-diffusion-3-tiny"
            (model / "refs").mkdir(parents=True)
            (model / "refs" / "main").write_text("abc")
            (model / "snapshots").mkdir()
            (model / "snapshots" / "abc").symlink_to(MODEL)
            where = {"XDG_CACHE_HOME": "", variable: str(self.folder / root)}
            cached = json.loads(self.run_fude("doctor", "--json", **where).out)["models"]["cached"]
            self.assertEqual(cached, [{"id": "someone/stable-diffusion-3-tiny", "whole": True}])
            outcome = self.run_fude("model", "inspect", "someone/stable-diffusion-3-tiny", **where)
            self.assertEqual(outcome.code, 0, outcome)


class Bench(CommandLine):
    def test_bench_reports_rates_beside_the_measured_peaks(self):
        outcome = self.run_fude("bench", "-W", "64", "-H", "64", "--steps", "3", "--threads", "1", "--dtype", "f32", "--json")
        self.assertEqual(outcome.code, 0, outcome)
        report = json.loads(outcome.out)
        self.assertEqual((report["width"], report["height"], report["dtype"]), (64, 64, "f32"))
        peaks = report["peaks"]
        for row in [*report["ops"], report["forward"], report["request"]["encode"], report["request"]["decode"]]:
            with self.subTest(row=row["name"]):
                unit = "bytes" if "bytes" in row else "flops"
                self.assertAlmostEqual(row[f"{unit}_per_second"] * row["seconds"], row[unit], delta=1e-6 * row[unit])
                self.assertAlmostEqual(row["share_of_peak"] * peaks[f"{unit}_per_second"], row[f"{unit}_per_second"],
                                       delta=1e-6 * row[f"{unit}_per_second"])
        # 32 rows of the image (guidance, 4 by 4 patches of 16 pixels), 1536 into 4608 columns
        self.assertEqual(next(row["flops"] for row in report["ops"] if row["shape"] == "32x4608x1536"), 2 * 32 * 4608 * 1536)
        self.assert_refused(self.run_fude("bench", "-W", "63"), 2, "--width 63", "64")
        self.assert_refused(self.run_fude("bench", "--device", "abacus"), 2, "abacus")


if __name__ == "__main__":
    unittest.main()
