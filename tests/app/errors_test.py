#!/usr/bin/env python3
"""Failures as data: with --json one document on standard output, and a library that knows no option. Standard library only.

    FUDE=build/test/fude python3 tests/app/errors_test.py
"""

import json
import pathlib
import re
import unittest

from support import REPOSITORY, SMALL, CommandLine, posix

STRING = re.compile(r'"(?:[^"\\\n]|\\.)*"')
OF_THE_COMMAND_LINE = re.compile(r"--[a-z]|FUDE_HOME|`fude |\bfude (generate|plan|sweep|gacha|refine|history|bench|model|doctor)\b")
OF_OTHER_PROGRAMS = re.compile(r"`cmake --preset cuda`")


class Documents(CommandLine):
    def failure(self, *arguments, code, **more):
        """The document of a command that fails, and its error."""
        outcome = self.run_fude(*arguments, "--json", **more)
        self.assertEqual(outcome.code, code, outcome)
        document = json.loads(outcome.out)
        error = document["error"]
        self.assertEqual(set(error), {"code", "message", "field", "where", "remedies", "parts"})
        self.assertEqual(set(error["where"]), {"file", "component"})
        self.assertIn("error: " + error["message"].split("\n")[0], outcome.err)
        return document, error

    def test_every_command_fails_in_one_document(self):
        for command in ["generate", "plan", "sweep", "gacha"]:
            with self.subTest(command=command):
                document, error = self.failure(command, "a cat", *SMALL, "--steps", "0", code=2)
                self.assertEqual(set(document), {"error"})
                self.assertEqual((error["code"], error["field"]), ("bad_request", "steps"))
                self.assertEqual(error["message"], "--steps is 0, outside 1 to 1000. Use --steps 1.")
                self.assertEqual(error["remedies"], [{"kind": "use_value", "field": "steps", "values": ["1"]}])
        for arguments, field in [(["refine"], None), (["refine", "--scale", "99", "--id", "1"], None), (["history", "--limit", "-1"], None),
                                 (["history", "show", "99"], None), (["generate"], None), (["generate", "a", "--zzz"], None),
                                 (["generate", "a", "--steps", "many"], "steps"), (["generate", "a", "--device", "tpu"], "device"),
                                 (["generate", "a", "-W", "500"], "width"), (["generate", "a", "-H", "5"], "height"),
                                 (["generate", "a", "--vram", "big"], "vram"), (["generate", "a", "--sampler", "magic"], "sampler")]:
            with self.subTest(arguments=arguments):
                document, error = self.failure(*arguments, code=2)
                self.assertEqual((set(document), error["code"], error["field"]), ({"error"}, "bad_request", field))

    def test_models_that_are_none(self):
        for command in [["generate", "a cat", "--model"], ["model", "inspect"], ["model", "verify"]]:
            _, error = self.failure(*command, "no/model", code=4)
            self.assertEqual((error["code"], error["field"]), ("bad_checkpoint", "model"))
            self.assertEqual(error["remedies"][0], {"kind": "give", "field": "model"})
            self.assertIn("--model", error["message"])
        _, error = self.failure("generate", "a cat", "--model", "someone/else", code=4, HF_HUB_CACHE=str(self.folder))
        self.assertIn("`huggingface-cli download someone/else`", error["message"])
        self.assertEqual(error["remedies"][1], {"kind": "download_model", "field": "model", "values": ["someone/else"]})

    def test_several_faults_are_parts(self):
        transformer = REPOSITORY / "tests" / "fixtures" / "dual" / "transformer" / "diffusion_pytorch_model.safetensors"
        _, error = self.failure("generate", "a cat", "--model", transformer, code=4)
        self.assertEqual([part["field"] for part in error["parts"]], ["clip_l", "clip_g", "vae", "tokenizers"])
        self.assertEqual(error["parts"][0]["remedies"], [{"kind": "give", "field": "clip_l"}])
        self.assertIn("--clip-l", error["parts"][0]["message"])

    def test_too_little_memory_is_part_of_a_plan(self):
        little = ["a cat", *SMALL, "--ram", "1M"]
        document, error = self.failure("plan", *little, code=3)
        self.assertFalse(document["fits"])
        _, drawn = self.failure("generate", *little, code=3)
        for each in [error, drawn]:
            self.assertEqual(each["code"], "out_of_memory")
            (allow,) = [remedy for remedy in each["remedies"] if remedy["kind"] == "allow_memory"]
            self.assertEqual(allow["field"], "ram")
            self.assertGreater(allow["bytes"], 1 << 20)

    def test_files_are_named(self):
        _, error = self.failure("generate", "--from", "nowhere.png", code=1)
        self.assertEqual((error["code"], error["where"]["file"]), ("io", "nowhere.png"))

    def test_without_json_nothing_is_on_standard_output(self):
        self.assert_refused(self.generate("a cat", "--steps", "0"), 2, "--steps is 0")
        self.assert_refused(self.generate("--", "a cat", "--json"), 2)

    @posix
    def test_a_folder_that_takes_no_file_is_named_with_the_reason(self):
        if not pathlib.Path("/proc").is_dir():
            self.skipTest("there is no /proc")
        outcome = self.generate("a cat", "-o", "/proc/cat.png")
        self.assert_refused(outcome, 1, 'cannot write into the folder "/proc": No such file or directory')
        self.assertNotIn("space", outcome.err)
        self.assertNotIn("/proc/fude", outcome.err)


class Library(unittest.TestCase):
    def test_knows_no_option_no_command_and_no_environment(self):
        found = []
        for folder in ["src", "include"]:
            for file in sorted((REPOSITORY / folder).rglob("*")):
                if file.suffix not in {".h", ".cpp", ".cu", ".cuh"}:
                    continue
                for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
                    for text in STRING.findall(line.split("// ")[0]):
                        if OF_THE_COMMAND_LINE.search(OF_OTHER_PROGRAMS.sub("", text)):
                            found.append(f"{file}:{number}: {text}")
        self.assertEqual(found, [])


if __name__ == "__main__":
    unittest.main()
