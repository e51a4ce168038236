#!/usr/bin/env python3
"""fude refine as a person meets it. Standard library only.

    FUDE=build/test/fude python3 tests/app/refine_test.py
"""

import json
import shutil
import unittest

from support import CommandLine, png_pixels, png_texts, write_png

SIDES = ["-W", "64", "-H", "64", "--threads", "1"]


class Refine(CommandLine):
    def refine(self, *arguments):
        """The pictures, as the JSON document lists them."""
        outcome = self.run_fude("refine", "--json", "--threads", "1", *arguments)
        self.assertEqual(outcome.code, 0, outcome)
        return json.loads(outcome.out)["images"]

    def gacha(self, *arguments):
        outcome = self.run_fude("gacha", "a {red|blue} cat", "--count", "3", "--seed", "7", "--steps", "3", "--guidance", "4", "--json", *SIDES,
                                *arguments)
        self.assertEqual(outcome.code, 0, outcome)
        return json.loads(outcome.out)

    def request(self, path):
        return json.loads(png_texts(self.folder / path)["fude"])

    def pixels(self, path):
        return png_pixels(self.folder / path)

    def test_chosen_candidates_are_drawn_with_more_steps(self):
        self.gacha()
        images = self.refine(3, 1, "--steps", "5")
        self.assertEqual([image["from"] for image in images], ["candidate 3", "candidate 1"])
        self.assertEqual([image["seed"] for image in images], [9, 7])
        request = self.request(images[0]["path"])
        self.assertEqual((request["steps"], request["guidance"], request["width"]), (5, 4, 64))
        self.assertIn(request["prompt"], ["a red cat", "a blue cat"])
        # The same noise: what generate draws with these settings.
        same = self.draw(request["prompt"], "--seed", "9", "--steps", "5", "--guidance", "4")
        self.assertEqual(self.pixels(images[0]["path"]), self.pixels(same["images"][0]["path"]))
        # 50 steps are usual; --number 2 is the same as 2.
        self.assertEqual(self.request(self.refine("--number", 2)[0]["path"])["steps"], 50)

    def test_a_larger_picture_goes_on_from_the_latents_that_were_kept(self):
        kept = self.folder / self.gacha()["folder"] / "kept"
        outcome = self.run_fude("refine", "2", "--scale", "1.5", "--steps", "10", "--strength", "0.4", "--threads", "1")
        self.assertEqual(outcome.code, 0, outcome)
        self.assertIn("4 steps", outcome.err)  # the last part of ten
        path = outcome.out.strip()
        request = self.request(self.folder / path)
        self.assertEqual((request["width"], request["height"]), (96, 96))
        self.assertEqual({name: request["draft"][name] for name in ["width", "steps", "strength"]}, {"width": 64, "steps": 3, "strength": 0.4})
        # Its file alone repeats it, drawing the small picture first.
        again = self.run_fude("generate", "--from", path, "--json", "--threads", "1")
        self.assertEqual(again.code, 0, again)
        self.assertEqual(self.pixels(json.loads(again.out)["images"][0]["path"]), self.pixels(self.folder / path))
        # Other latents in its place would give another picture: it is they that were gone on from.
        shutil.copy(kept / "00001.safetensors", kept / "00002.safetensors")
        other = self.refine(2, "--scale", "1.5", "--steps", "10", "--strength", "0.4")[0]["path"]
        self.assertNotEqual(self.pixels(other), self.pixels(path))
        self.assert_refused(self.run_fude("refine", "--from", path, "--scale", "2"), 2, "enlarged already", "Refine the picture it came from")

    def test_variations_lie_beside_the_picture(self):
        picture = self.draw("a cat", "--seed", "5")["images"][0]["path"]
        images = self.refine("--from", picture, "--variations", "2", "--steps", "2", "--variation-seed", "11")
        self.assertEqual([image["seed"] for image in images], [5, 5])
        requests = [self.request(image["path"]) for image in images]
        self.assertEqual([request["variation"] for request in requests], [{"seed": 11, "amount": 0.15}, {"seed": 12, "amount": 0.15}])
        self.assertEqual(len({self.pixels(path) for path in [picture, *(image["path"] for image in images)]}), 3)
        self.assert_refused(self.run_fude("refine", "--from", images[1]["path"], "--variations", "2"), 2, "variation already")
        # A gacha from it begins with its request's own noise, and goes on with other seeds.
        outcome = self.run_fude("gacha", "--from", images[1]["path"], "--count", "2", "--steps", "1", "--json", "--threads", "1")
        self.assertEqual(outcome.code, 0, outcome)
        self.assertEqual([request["seed"] for request in map(self.request, (cell["path"] for cell in json.loads(outcome.out)["cells"]))],
                         [5, 6])
        # Nothing varied is the picture itself, all varied is the other seed's.
        none = self.refine("--from", picture, "--variations", "1", "--steps", "2", "--amount", "0")[0]["path"]
        self.assertEqual(self.pixels(none), self.pixels(picture))
        other = self.refine("--from", picture, "--variations", "1", "--steps", "2", "--amount", "1", "--variation-seed", "11")[0]["path"]
        self.assertEqual(self.pixels(other), self.pixels(self.draw("a cat", "--seed", "11")["images"][0]["path"]))

    def test_entries_of_the_history_and_other_gachas(self):
        first = self.gacha()["folder"]
        self.gacha("--count", "2", "--seed", "100")
        entries = json.loads(self.run_fude("history", "--json").out)
        entry = next(entry for entry in entries if entry["seed"] == 8)
        images = self.refine("--id", entry["id"], "--steps", "2") + self.refine(2, "--gacha", first, "--steps", "2")
        self.assertEqual([image["seed"] for image in images], [8, 8])
        self.assertEqual(self.pixels(images[0]["path"]), self.pixels(images[1]["path"]))
        self.assertEqual(self.refine(2, "--steps", "2")[0]["seed"], 101)  # of the last gacha
        kinds = [entry["kind"] for entry in json.loads(self.run_fude("history", "--kind", "refine", "--json").out)]
        self.assertEqual(kinds, ["refine"] * 3)

    def test_what_cannot_be_refined(self):
        self.assert_refused(self.run_fude("refine"), 2, "nothing is chosen", "fude refine 7 12")
        self.assert_refused(self.run_fude("refine", "7"), 2, "no gacha", "fude gacha")
        self.gacha()
        self.assert_refused(self.run_fude("refine", "4"), 2, "candidate 4", "1 to 3")
        self.assert_refused(self.run_fude("refine", "two"), 2, "two", "fude refine 7 12")
        self.assert_refused(self.run_fude("refine", "1", "--vae", "none.safetensors", "--threads", "1"), 4, "none.safetensors")
        self.assert_refused(self.run_fude("refine", "1", "--strength", "0", "--scale", "2"), 2, "--strength")
        for idle, more in [(["--strength", "0.5"], "--scale"), (["--amount", "0.1"], "--variations"), (["--variation-seed", "3"], "--variations"),
                           (["--scale", "2", "-W", "64", "-H", "64"], "--width")]:
            with self.subTest(idle=idle):
                self.assert_refused(self.run_fude("refine", "1", *idle), 2, idle[0], "changes nothing", more)
        self.assert_refused(self.run_fude("refine", "--gacha", "somewhere", "--id", "1"), 2, "--gacha", "numbers")
        self.assert_refused(self.run_fude("refine", "1", "--scale", "0"), 2, "--scale")
        self.assert_refused(self.run_fude("refine", "1", "--variations", "-1"), 2, "--variations")
        self.assert_refused(self.run_fude("refine", "1", "--variations", "2", "--amount", "2"), 2, "--amount")
        self.assert_refused(self.run_fude("refine", "--id", "999"), 2, "999")
        self.assert_refused(self.run_fude("refine", "--from", "none.png"), 1, "none.png")
        write_png(self.folder / "plain.png", {})
        self.assert_refused(self.run_fude("refine", "--from", "plain.png"), 2, "no request is stored")


if __name__ == "__main__":
    unittest.main()
