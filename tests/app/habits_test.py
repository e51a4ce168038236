#!/usr/bin/env python3
"""What people bring along from other programs works or is answered, and advice that is given works. Standard library only.

    FUDE=build/test/fude python3 tests/app/habits_test.py
"""

import csv
import io
import json
import re
import unittest

from support import REPOSITORY, CommandLine, png_texts


class Habits(CommandLine):
    def request(self, *arguments, **more):
        return self.draw(*arguments, **more)["request"]

    def refused(self, *arguments, code=2, **more):
        outcome = self.run_fude(*arguments, **more)
        self.assert_refused(outcome, code)
        return outcome.err


class Advice(Habits):
    def test_a_size_that_is_advised_is_accepted(self):
        for command in ["generate", "plan", "gacha", "sweep"]:
            for asked in [["-W", "99999"], ["-W", "99999", "-H", "99999"], ["-H", "99990"], ["-W", "500"], ["-W", "190", "-H", "1000000000"], ["-W", "5"],
                          ["-H", "-64"]]:
                with self.subTest(command=command, asked=asked):
                    refusal = self.refused(command, "a cat", "--steps", "1", *asked)
                    advice = re.findall(r"--(?:width|height) \d+", refusal.split("The nearest size that works is")[1])
                    self.assertGreater(len(advice), 0, refusal)
                    words = [word for option in advice for word in option.split()]
                    plan = self.run_fude("plan", "a cat", "--steps", "1", *asked, *words)
                    self.assertEqual(plan.code, 0, plan)

    def test_the_advised_size_fits_the_memory_too(self):
        demo = ["a cat", "--model", REPOSITORY / "models" / "demo"]
        little = self.run_fude("plan", *demo, "-W", "64", "-H", "64", "--ram", "1M").err
        memory = ["--ram", re.search(r"--ram (\d+M)", little)[1]]
        refusal = self.refused("plan", *demo, "-W", "99999", "-H", "99999", *memory)
        sides = [int(side) for side in re.findall(r"--(?:width|height) (\d+)", refusal.split("The nearest size that works is")[1])]
        self.assertLess(max(sides), int(re.search(r"the largest is (\d+)", refusal)[1]), refusal)  # the model would draw larger ones
        self.assertEqual(self.run_fude("plan", *demo, "-W", sides[0], "-H", sides[1], *memory).code, 0, refusal)

    def test_a_budget_that_is_advised_is_enough(self):
        for command in ["plan", "generate"]:
            for given in ["1M", "50M"]:
                outcome = self.run_fude(command, "a cat", "-W", "64", "-H", "64", "--steps", "1", "--ram", given)
                self.assertEqual(outcome.code, 3, outcome)
                refusal = outcome.err
                needed, allowed = map(int, re.search(r"needs at least (\d+) MiB .* may take (\d+) MiB", refusal).groups())
                self.assertEqual(f"{allowed}M", given, refusal)
                self.assertGreater(needed, allowed, refusal)
                self.assertNotIn("--no-t5", refusal)
                advised = re.search(r"--ram (\d+M)", refusal)[1]
                self.assertEqual(self.generate("a cat", "--ram", advised).code, 0, refusal)


class Words(Habits):
    def test_minus_one_is_a_random_seed(self):
        seeds = {self.request("a cat", "--seed", "-1")["seed"] for _ in range(3)}
        self.assertEqual(len(seeds), 3)
        picture = self.folder / self.draw("a cat", "--seed", "7")["images"][0]["path"]
        self.assertEqual(self.request("--from", picture)["seed"], 7)
        self.assertNotEqual(self.request("--from", picture, "--seed", "-1")["seed"], 7)
        for command in [["gacha", "--count", "1"], ["sweep"]]:
            outcome = self.run_fude(*command, "a cat", "-W", "64", "-H", "64", "--steps", "1", "--seed", "-1", "--json")
            self.assertEqual(outcome.code, 0, outcome)
            seed = json.loads(outcome.out)["cells"][0]["seed"]
            self.assertIn(f"seed {seed}\n", outcome.err)
        outcome = self.run_fude("refine", "--from", picture, "--steps", "1", "--variations", "1", "--variation-seed", "-1", "--json")
        variation = json.loads(png_texts(self.folder / json.loads(outcome.out)["images"][0]["path"])["fude"])["variation"]
        self.assertNotEqual(variation["seed"], 8)
        self.assertIn("-2", self.refused("generate", "a cat", "--seed", "-2"))
        self.assertIn("stands alone", self.refused("sweep", "a cat", "--seed", "5,-1"))

    def test_sizes_in_one_word(self):
        for text, size in [("64x48", (64, 48)), ("64X48", (64, 48)), ("64×48", (64, 48)), ("64", (64, 64))]:
            request = json.loads(self.run_fude("generate", "a cat", "--steps", "1", "--size", text, "--json").out)["request"]
            self.assertEqual((request["width"], request["height"]), size)
        for arguments, word in [(["--size", "64x48", "-W", "64"], "--width"), (["--size", "big"], '"big"'), (["--size", "0x64"], "--width 16"),
                                (["--size", "64x"], '"64x"'), (["--size", "64x48,64x64"], "not a size"), (["--size", "-64x64"], "--width -64")]:
            self.assertIn(word, self.refused("generate", "a cat", *arguments))
        picture = self.folder / self.draw("a cat")["images"][0]["path"]
        larger = self.run_fude("refine", "--from", picture, "--size", "96x96", "--steps", "2", "--strength", "0.9", "--json")
        self.assertEqual([(image["width"], image["height"]) for image in json.loads(larger.out)["images"]], [(96, 96)])
        self.assertIn("--scale", self.refused("refine", "--from", picture, "--size", "96x96", "--scale", "2"))

    def test_a_prompt_behind_two_hyphens(self):
        for prompt in ["-a cat", "--help", "-h", "--steps"]:
            outcome = self.generate("--json", "--", prompt)
            self.assertEqual(outcome.code, 0, outcome)
            self.assertEqual(json.loads(outcome.out)["request"]["prompt"], prompt)
        self.assertIn("behind --, or as --prompt=", self.refused("generate", "-a cat"))

    def test_help_of_a_command(self):
        for words in [["generate"], ["history"], ["history", "run"], ["model"], ["model", "inspect"], ["sweep"]]:
            asked = self.run_fude("help", *words)
            self.assertEqual((asked.code, asked.err), (0, ""), asked)
            self.assertEqual(asked.out, self.run_fude(*words, "--help").out)
        self.assertEqual(self.run_fude("history", "help", "run").out, self.run_fude("history", "run", "--help").out)
        self.assertEqual(self.run_fude("help").out, self.run_fude("--help").out)
        self.assertIn("fude generate", self.refused("help", "genrate"))

    def test_the_version_by_its_short_name(self):
        self.assertEqual(self.run_fude("-V").out, self.run_fude("--version").out)

    def test_a_second_prompt_is_refused_where_one_is_drawn(self):
        for arguments, word in [(["-p", "a", "-p", "b"], "fude sweep"), (["a", "--prompt", "b"], "fude sweep"), (["a", "-n", "b", "-n", "c"], "--negative")]:
            self.assertIn(word, self.refused("generate", *arguments))
        self.assertIn("--negative", self.refused("gacha", "a", "-n", "b", "-n", "c"))
        self.assertEqual(self.request("a cat", "--steps", "1", "--steps", "2")["steps"], 2)  # settings are overridden, as by an alias

    def test_empty_prompts(self):
        (self.folder / "empty.txt").write_text("\n\n")
        for command in ["generate", "sweep", "gacha"]:
            self.assertIn("standard input", self.refused(command, "-", stdin=""))
            self.assertIn("standard input", self.refused(command, "-", stdin="\ufeff\r\n"))
            self.assertIn("empty.txt", self.refused(command, "-p", "@empty.txt"))
            self.assertIn("a space", self.refused(command, ""))
        self.assertEqual(self.request(" ")["prompt"], " ")
        self.assertEqual(self.request("a cat", "-n", "")["negative"], "")
        self.assertIn("read once", self.refused("generate", "-", "-n", "-", stdin="a cat"))

    def test_files_of_prompts(self):
        for name, data in [("unix", b"# animals\na cat\n\n  \na dog\n"), ("windows", b"\xef\xbb\xbf# animals\r\na cat\r\n\r\na dog"),
                           ("hash", b" # a cat\n#a dog\n")]:
            (self.folder / name).write_bytes(data)
            outcome = self.run_fude("sweep", "--prompts", name, "-W", "64", "-H", "64", "--steps", "1", "--seed", "1", "--json")
            self.assertEqual(outcome.code, 0, outcome)
            prompts = [json.loads(png_texts(self.folder / cell["path"])["fude"])["prompt"] for cell in json.loads(outcome.out)["cells"]]
            self.assertEqual(prompts, [" # a cat"] if name == "hash" else ["a cat", "a dog"])
        (self.folder / "comments").write_text("# a\n#b\n")
        self.assertIn("comment", self.refused("sweep", "--prompts", "comments"))

    def test_what_comes_again_on_an_axis_is_drawn_once(self):
        small = ["-W", "64", "-H", "64", "--steps", "1"]
        (self.folder / "prompts.txt").write_text("a cat\na dog\n")
        for axes, cells, repeats in [(["-p", "a cat", "-p", "a cat"], 1, 1), (["-p", "a dog", "--prompts", "prompts.txt"], 2, 1),
                                     (["a cat", "-n", "x", "-n", "x", "-n", "y"], 2, 1), (["a cat", "--seed", "1,1..2,2"], 2, 2),
                                     (["a cat", "--guidance", "2,2.0"], 1, 1), (["a cat", "--seed", "1,2"], 2, 0)]:
            with self.subTest(axes=axes):
                seed = [] if "--seed" in axes else ["--seed", "1"]
                outcome = self.run_fude("sweep", *axes, *seed, *small, "--json")
                self.assertEqual(outcome.code, 0, outcome)
                self.assertEqual(len(json.loads(outcome.out)["cells"]), cells)
                told = re.findall(r"(?m)^(\d+) values? came again and (?:is|are) drawn once$", outcome.err)
                self.assertEqual(told, [str(repeats)] if repeats else [])


class Documents(Habits):
    def test_days_that_there_are_not(self):
        self.draw("a cat")
        for option in ["--since", "--until"]:
            for text in ["2026-13-01", "2026-02-30", "2026-00-10", "2026-01-00", "2025-02-29", "2026-01-01 24:00", "2026-01-01 10:60", "2026-01-01 10:00:60"]:
                self.assertIn(text.replace(" ", "T"), self.refused("history", option, text))
        for text in ["2024-02-29", "2026-01-31 23:59", "2026-01-01T00:00:59"]:
            outcome = self.run_fude("history", "--since", text, "--json")
            self.assertEqual(len(json.loads(outcome.out)), 1, outcome)

    def test_tables_for_spreadsheets(self):
        prompts = ["=1+1", "+cat", "-dog", "@sum(a)", "\tcat", "＝1", "猫, \"犬\"\n二行", "- 5", "plain"]
        for prompt in prompts:
            (self.folder / "prompt.txt").write_text(prompt, encoding="utf-8")
            self.draw("--steps", "1", "-W", "16", "-H", "16", "-p", "@prompt.txt", "--guidance", "-1", "--out", "\udcff\udcfe")
        self.assertEqual(self.run_fude("history", "export", "--csv", "--to", "history.csv").code, 0)
        data = (self.folder / "history.csv").read_bytes()
        self.assertTrue(data.startswith(b"\xef\xbb\xbf" + b"id,"))
        text = data.decode("utf-8-sig")  # all of it is UTF-8
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
        self.assertEqual([row["prompt"] for row in rows], ["'" + prompt for prompt in prompts[:6]] + [prompts[6], "'- 5", "plain"])
        self.assertEqual(rows[0]["guidance"], "-1")  # a number is none
        self.assertIn("\ufffd", rows[0]["path"])
        printed = self.run_fude("history", "export", "--csv").out
        self.assertTrue(printed.startswith("id,"), printed[:10])
        self.assertEqual([row["prompt"] for row in csv.DictReader(io.StringIO(printed, newline=""))], [row["prompt"] for row in rows])


if __name__ == "__main__":
    unittest.main()
