#!/usr/bin/env python3
"""fude sweep and fude gacha as a person meets them, killed and resumed too. Standard library only.

    FUDE=build/test/fude python3 tests/app/session_test.py
"""

import contextlib
import csv
import fcntl
import json
import os
import pathlib
import pty
import random
import re
import shutil
import signal
import struct
import subprocess
import termios
import threading
import time
import unittest

from support import FUDE, PATIENCE, WINDOWS, CommandLine, png_chunks, png_pixels, png_texts, posix, undated

SIDES = ["-W", "64", "-H", "64", "--threads", "1"]


class Sessions(CommandLine):
    def session(self, command, *arguments, **more):
        """Draws to the end; gives the JSON document."""
        outcome = self.run_fude(command, *([] if "--resume" in arguments else SIDES), "--json", *arguments, **more)
        self.assertEqual(outcome.code, 0, outcome)
        return json.loads(outcome.out)

    def sweep(self, *arguments, **more):
        return self.session("sweep", *arguments, **more)

    def gacha(self, *arguments, **more):
        return self.session("gacha", *arguments, **more)

    def start(self, command, *arguments, **more):
        return subprocess.Popen([FUDE, command, *([] if "--resume" in arguments else SIDES), *map(str, arguments)], cwd=self.folder,
                                env=self.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler), **more)

    def pictures(self, folder):
        return sorted((self.folder / folder).glob("[0-9]*.png"))

    def pixels(self, folder):
        return {path.name: png_pixels(path) for path in self.pictures(folder)}

    def requests(self, document):
        return [json.loads(png_texts(self.folder / cell["path"])["fude"]) for cell in document["cells"]]

    def assert_whole(self, folder):
        """Every file that has its name is whole."""
        for path in (self.folder / folder).rglob("*.png"):
            self.assertEqual(list(png_chunks(path))[-1][0], b"IEND", path)
        for path in (self.folder / folder).rglob("*.safetensors"):
            data = path.read_bytes()
            (length,) = struct.unpack("<Q", data[:8])
            header = json.loads(data[8 : 8 + length])
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
            self.assertEqual(8 + length + max(ends), len(data), path)
        json.loads((self.folder / folder / "session.json").read_text())


class Sweep(Sessions):
    def test_leaves_pictures_sheet_and_report(self):
        outcome = self.run_fude("sweep", *SIDES, "a cat", "--seed", "3", "--steps", "1,2..3", "--guidance", "0.5,5")
        self.assertEqual(outcome.code, 0, outcome)
        folder = pathlib.Path(outcome.out.splitlines()[0]).parent
        self.assertEqual(undated(folder), "outputs/DAY/sweep-001")
        self.assertEqual(outcome.out.splitlines(), [f"{folder}/sheet.png", f"{folder}/report.html"])
        names = [f"{number:05}-3.png" for number in range(1, 7)]
        self.assertEqual([path.name for path in self.pictures(folder)], names)
        self.assertEqual(sorted(path.name for path in (self.folder / folder).iterdir()),
                         sorted([*names, "session.json", "sheet.png", "report.html", "report.json", "report.csv"]))
        self.assertRegex(outcome.err, r"(?m)^cell 2/6  guidance 0.5, 2 steps  \S+ s  00002-3.png$")
        self.assertEqual(len(re.findall(r"(?m)^cell ", outcome.err)), 6)
        self.assertNotIn("\x1b", outcome.err)
        report = json.loads((self.folder / folder / "report.json").read_text())
        self.assertEqual([cell["file"] for cell in report["cells"]], names)
        self.assertEqual(report["axes"], [{"name": "guidance", "values": ["0.5", "5"]}, {"name": "steps", "values": ["1", "2", "3"]}])
        with open(self.folder / folder / "report.csv", encoding="utf-8-sig") as table:
            self.assertEqual([(row["guidance"], row["steps"]) for row in csv.DictReader(table)],
                             [(guidance, steps) for guidance in ["0.5", "5"] for steps in ["1", "2", "3"]])
        self.assert_whole(folder)
        unknown = self.run_fude("sweep", *SIDES, "公園", "--seed", "3", "--steps", "1,2")
        self.assertEqual(unknown.err.count("not in the vocabulary"), 1, unknown)
        shutil.rmtree(self.folder / pathlib.Path(unknown.out.splitlines()[0]).parent)
        making = json.loads(png_texts(self.folder / folder / names[1])["fude-making"])  # what the report is made of
        self.assertRegex(making["created"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$")
        self.assertEqual(len(making["step_seconds"]), 2)
        self.assertIn("libpng", making["libraries"])
        again = self.sweep("a cat", "--seed", "3", "--steps", "1,2")
        self.assertTrue(again["folder"].endswith("sweep-002"))
        self.assertEqual(set(again), {"kind", "folder", "sheet", "report", "cells", "seconds"})
        self.assertEqual([cell["number"] for cell in again["cells"]], [1, 2])
        self.assertEqual(self.run_fude("sweep", *SIDES, "a cat", "--steps", "1,2", "--quiet", "--seed", "3").err, "")

    def test_draws_what_generate_draws(self):
        document = self.sweep("a cat", "--seed", "5,18446744073709551615", "--steps", "2,3", "--guidance", "1,4.5", "--shift", "2.5")
        for cell, request in zip(document["cells"], self.requests(document)):
            alone = self.draw("a cat", "-W", "64", "-H", "64", "--seed", request["seed"], "--steps", request["steps"], "--guidance",
                              request["guidance"], "--shift", "2.5")
            self.assertEqual(png_pixels(self.folder / cell["path"]), png_pixels(self.folder / alone["images"][0]["path"]), request)

    def test_every_axis(self):
        (self.folder / "prompts.txt").write_text("\ufeffa cat\r\n\r\n温泉, a \"dog\"\n", encoding="utf-8")
        outcome = self.run_fude("sweep", "--prompts", "prompts.txt", "-n", "", "-n", "fog", "--size", "64x64,96x64", "--seed", "1..2",
                                "--shift", "2,3", "--steps", "1", "--sampler", "euler", "--guidance", "2", "--threads", "1", "--json")
        self.assertEqual(outcome.code, 0, outcome)
        requests = self.requests(json.loads(outcome.out))
        self.assertEqual([(r["prompt"], r["negative"], r["width"], r["shift"], r["seed"]) for r in requests],
                         [(prompt, negative, width, shift, seed) for prompt in ["a cat", "温泉, a \"dog\""] for negative in ["", "fog"]
                          for width in [64, 96] for shift in [2, 3] for seed in [1, 2]])
        several = self.sweep("a cat", "-p", "a dog", "--steps", "1", "--seed", "1", "--noise", "torch-cpu-bf16")
        self.assertEqual([r["prompt"] for r in self.requests(several)], ["a cat", "a dog"])
        self.assertEqual({r["noise"] for r in self.requests(several)}, {"torch-cpu-bf16"})

    def test_dtypes_are_an_axis(self):
        document = self.sweep("a cat", "--dtype", "f32,bf16", "--steps", "1,2", "--seed", "1")
        self.assertEqual([cell["number"] for cell in document["cells"]], [1, 2, 3, 4])
        report = json.loads((self.folder / document["folder"] / "report.json").read_text())
        self.assertEqual([cell["values"]["dtype"] for cell in report["cells"]], ["f32", "f32", "bf16", "bf16"])
        alone = self.draw("a cat", "--dtype", "f32", "--steps", "2", "--seed", "1")
        self.assertEqual(png_pixels(self.folder / document["cells"][1]["path"]), png_pixels(self.folder / alone["images"][0]["path"]))

    def test_from_takes_a_picture_s_request(self):
        picture = self.draw("a cat", "--seed", "9", "--guidance", "3", "--negative", "fog")["images"][0]["path"]
        (same, other) = self.requests(self.sweep("--from", picture, "--steps", "2,1"))
        self.assertEqual((same["prompt"], same["negative"], same["guidance"], same["seed"]), ("a cat", "fog", 3, 9))
        self.assertEqual((same["steps"], other["steps"]), (2, 1))

    def test_bad_input(self):
        for arguments, words in [
            (["--steps", ""], ["--steps"]),
            (["--steps", "70..20:10"], ["--steps", "70..20:10", "backwards"]),
            (["--steps", "1..5:0"], ["step is 0"]),
            (["--steps", "five"], ['"five"']),
            (["--steps", "1,2000"], ["--steps", "1 to 1000"]),
            (["--guidance", "1..9:0.00001"], ["--guidance", "100000"]),
            (["--guidance", "nan"], ["--guidance"]),
            (["--seed", "-2"], ["--seed"]),
            (["--seed", "1..100000", "--steps", "1..1000"], ["more than 100000 pictures"]),
            (["--size", "64x65"], ["--size", "16 pixels"]),
            (["--size", "64x6400000"], ["6400000"]),
            (["--size", "64", "-W", "64"], ["--size", "--width"]),
            (["--dtype", "f32,f8"], ["f8"]),
            (["--sampler", "euler,magic"], ["magic", "euler"]),
            (["--shift", "0,1"], ["--shift"]),
            (["--prompts", "none.txt"], ["none.txt"]),
        ]:
            with self.subTest(arguments=arguments):
                self.assert_refused(self.run_fude("sweep", "a cat", *arguments), 2, *words)
        self.assert_refused(self.run_fude("sweep", "--steps", "1,2"), 2, "no prompt")
        self.assert_refused(self.run_fude("sweep", "a cat", "--model", "nowhere"), 4, "nowhere")
        self.assert_refused(self.run_fude("gacha", "a {cat"), 2, "never closed")
        self.assert_refused(self.run_fude("gacha", "a cat", "--count", "0"), 2, "--count")
        self.assert_refused(self.run_fude("gacha", "a cat", "--count", "200000"), 2, "--count")
        self.assert_refused(self.run_fude("gacha", "a cat", "--minutes", "0"), 2, "--minutes")
        self.assert_refused(self.run_fude("gacha", "a cat", "--minutes", "1", "--count", "3"), 2, "--minutes", "--count")
        self.assertEqual([file for file in self.files() if file.startswith("outputs")], [])

    def test_large_grids_need_a_yes(self):
        large = ["a cat", "--seed", "1..1001", "--steps", "1", "--guidance", "1"]
        outcome = self.run_fude("sweep", *SIDES, *large, stdin="y\n")  # no terminal
        self.assert_refused(outcome, 2, "1001 pictures", "1001 steps", "MiB of disk", "--yes")
        self.assertEqual([file for file in self.files() if file.startswith("outputs")], [])
        process = self.start("sweep", *large, "--yes")
        self.assertRegex(process.stderr.readline(), r"^cell 1/1001 ")
        process.kill()
        process.communicate()


class Resume(Sessions):
    GRID = ["a cat", "--seed", "1..4", "--steps", "2..6", "--guidance", "5"]

    def test_after_ctrl_c(self):
        process = self.start("sweep", *self.GRID, "--out", "out")
        self.assertIn("cell 1/20", process.stderr.readline())
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=PATIENCE)
        self.assertEqual((process.returncode, out), (130, ""), errors)
        (folder,) = re.findall(r'fude sweep --resume "(.*)"', errors)
        kept = self.pictures(folder)
        self.assertRegex(errors, f"stopped; {len(kept)} cells? of 20")
        self.assertLess(len(kept), 20)
        self.assertTrue((self.folder / folder / "sheet.png").exists())
        before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in kept}
        document = self.sweep("--resume", folder)
        self.assertEqual(before, {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in kept})
        self.assertEqual([cell["number"] for cell in document["cells"]], list(range(1, 21)))
        self.assertEqual(self.pixels(folder), self.pixels(self.sweep(*self.GRID)["folder"]))
        again = self.run_fude("sweep", "--resume", folder)  # nothing is left to do
        self.assertEqual(again.code, 0, again)
        self.assertIn("20 cells were finished before", again.err)

    def killed_and_resumed(self, command, arguments, kills):
        chance = random.Random(20261124)
        sessions, killed, folder, finished = [], 0, None, {}
        while killed < kills:
            if folder is None:
                known = set(self.folder.glob(f"out/*/{command}-*"))
                process = self.start(command, *arguments, "--out", "out")
            else:
                process = self.start(command, "--resume", folder)
            for _ in range(chance.randrange(5)):  # a line is a picture
                process.stderr.readline()
            time.sleep(chance.uniform(0, 0.05))  # somewhere in the next one
            process.kill()
            process.communicate()
            killed += process.returncode != 0
            if folder is None:
                new = set(self.folder.glob(f"out/*/{command}-*")) - known
                if not new:
                    continue
                folder = new.pop()
                if not (folder / "session.json").exists():  # before its plan was written there is nothing to go on with
                    folder = None
                    continue
                sessions.append(folder)
            self.assert_whole(folder)
            for path, was in finished.items():
                self.assertEqual((path.read_bytes(), path.stat().st_mtime_ns), was)
            finished = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in self.pictures(folder)}
            if process.returncode == 0:
                folder, finished = None, {}
        for folder in sessions:
            document = self.session(command, "--resume", folder)
            self.assert_whole(folder)
            self.assertEqual(list(folder.rglob("*.part")), [])
        # What was killed between a picture and its entry is known all the same.
        entries = json.loads(self.run_fude("history", "--kind", command, "--json").out)
        known = sorted(entry["path"] for entry in entries if any(folder in pathlib.Path(entry["path"]).parents for folder in sessions))
        self.assertEqual(known, sorted(str(path) for folder in sessions for path in self.pictures(folder)))
        return sessions, document

    def test_killed_at_twenty_moments(self):
        sessions, _ = self.killed_and_resumed("sweep", self.GRID, 20)
        whole = self.pixels(self.sweep(*self.GRID)["folder"])
        self.assertEqual(len(whole), 20)
        for folder in sessions:
            self.assertEqual(self.pixels(folder), whole)

    def test_a_gacha_killed_at_ten_moments(self):
        arguments = ["a {red|blue} cat", "--seed", "7", "--count", "20", "--steps", "3"]
        sessions, _ = self.killed_and_resumed("gacha", arguments, 10)
        whole = self.gacha(*arguments)["folder"]
        for folder in sessions:
            self.assertEqual(self.pixels(folder), self.pixels(whole))
            for number in range(1, 21):
                kept = f"kept/{number:05}.safetensors"
                self.assertEqual((folder / kept).read_bytes(), (self.folder / whole / kept).read_bytes())

    def test_takes_nothing_broken_for_finished(self):
        folder = self.folder / self.sweep("a cat", "--steps", "1..3", "--seed", "1")["folder"]
        whole = self.pixels(folder)
        first, second, third = self.pictures(folder)
        second.write_bytes(second.read_bytes()[:-30])
        third.unlink()
        (folder / "00003-1.png.0123abcd.part").write_bytes(b"half")
        self.sweep("--resume", folder)
        self.assertEqual(self.pixels(folder), whole)
        self.assertEqual(list(folder.glob("*.part")), [])
        shutil.copy(first, third)
        outcome = self.run_fude("sweep", "--resume", folder)
        self.assert_refused(outcome, 2, "00003-1.png", "Move it")
        self.assertEqual(first.read_bytes(), third.read_bytes())

    def test_refuses_what_is_no_session(self):
        self.assert_refused(self.run_fude("sweep", "--resume", "nowhere"), 1, "nowhere")
        self.assert_refused(self.run_fude("sweep", "--resume", "."), 1, "session.json")
        folder = self.folder / self.sweep("a cat", "--steps", "1,2", "--seed", "1")["folder"]
        self.assert_refused(self.run_fude("gacha", "--resume", folder), 2, "is a sweep", "fude sweep --resume")
        self.assert_refused(self.run_fude("sweep", "--resume", folder, "--steps", "5"), 2, "--steps", "--resume")
        self.assert_refused(self.run_fude("sweep", "a dog", "--resume", folder), 2, "--prompt", "--resume")
        plan = (folder / "session.json").read_text()
        files = self.files()
        for hostile in ["", "{", "[]", "[" * 100000, plan[:-40], plan.replace('"sweep"', '"../sweep"'), plan.replace('"seed": 1', '"seed": -1'),
                        plan.replace('"steps": [', '"steps": [1e300,'), plan.replace('"steps": [', '"steps": [[[[[[[[[['),
                        plan.replace('"steps": [', '"seed": [' + ",".join(map(str, range(60000))) + '], "steps": [')]:
            self.assertNotEqual(hostile, plan)
            (folder / "session.json").write_text(hostile)
            self.assert_refused(self.run_fude("sweep", "--resume", folder), 2, "session.json")
        self.assertEqual(self.files(), files)
        (folder / "session.json").write_text(plan.replace('"model": "' + str(self.model()), '"model": "/nowhere/at/all'))
        self.assert_refused(self.run_fude("sweep", "--resume", folder), 4, "/nowhere/at/all")

    def model(self):
        return pathlib.Path(self.environment()["FUDE_MODEL"])

    def test_notices_other_weights(self):
        folder = self.folder / self.sweep("a cat", "--steps", "1,2", "--seed", "1")["folder"]
        plan = (folder / "session.json").read_text()
        (folder / "session.json").write_text(plan.replace(str(self.model()), str(self.model().parent / "plain")))
        self.assert_refused(self.run_fude("sweep", "--resume", folder), 4, "other weights", "plain")


class Gacha(Sessions):
    def test_keeps_what_choosing_needs(self):
        document = self.gacha("a cat", "--seed", "40", "--count", "3", "--steps", "2", "--guidance", "4")
        folder = self.folder / document["folder"]
        self.assertTrue(document["folder"].endswith("gacha-001"))
        self.assertEqual([(cell["number"], cell["seed"]) for cell in document["cells"]], [(1, 40), (2, 41), (3, 42)])
        self.assertEqual(sorted(path.name for path in (folder / "kept").iterdir()), [f"{i:05}.safetensors" for i in (1, 2, 3)])
        data = (folder / "kept/00002.safetensors").read_bytes()
        (length,) = struct.unpack("<Q", data[:8])
        header = json.loads(data[8 : 8 + length])
        self.assertEqual({name: entry["shape"] for name, entry in header.items()}, {"noise": [16, 8, 8], "latents": [16, 8, 8]})
        traced = self.draw("a cat", "--seed", "41", "--guidance", "4", "--trace", "trace.safetensors")
        trace = (self.folder / "trace.safetensors").read_bytes()
        (trace_length,) = struct.unpack("<Q", trace[:8])
        for kept, name in [("noise", "noise"), ("latents", "latents.001")]:
            begin, end = json.loads(trace[8 : 8 + trace_length])[name]["data_offsets"]
            ours = header[kept]["data_offsets"]
            self.assertEqual(data[8 + length + ours[0] : 8 + length + ours[1]], trace[8 + trace_length + begin : 8 + trace_length + end])
        self.assertEqual(png_pixels(folder / "00002-41.png"), png_pixels(self.folder / traced["images"][0]["path"]))
        self.assertEqual(len(list((folder / "embeddings").iterdir())), 2)  # the prompt and the empty negative one
        self.assert_whole(folder)

    def test_wildcards_come_equally_often(self):
        document = self.gacha("a {red|blue} {cat|dog} in \\{braces\\}", "--count", "8", "--steps", "1", "--seed", "1")
        prompts = [request["prompt"] for request in self.requests(document)]
        self.assertEqual(sorted(prompts), sorted([f"a {colour} {animal} in {{braces}}" for colour in ["red", "blue"]
                                                  for animal in ["cat", "dog"]] * 2))
        page = (self.folder / document["report"]).read_text(encoding="utf-8")
        captions = re.findall(r'"label":"(.*?)"', page)  # what was chosen
        self.assertEqual([f"a {caption.replace(' · ', ' ')} in {{braces}}" for caption in captions], prompts)
        self.assertEqual([request["seed"] for request in self.requests(document)], list(range(1, 9)))

    # How many fit into a time is the library's to test: these look at no clock.
    def test_a_time_that_is_over_at_once_is_one_candidate(self):
        document = self.gacha("a cat", "--minutes", "0.000001", "--steps", "2", "--seed", "1")
        self.assertEqual([cell["number"] for cell in document["cells"]], [1])
        plan = json.loads((self.folder / document["folder"] / "session.json").read_text())
        self.assertEqual((plan["count"], plan["minutes"]), (1, 1e-6))

    def test_a_long_time_survives_a_kill(self):
        process = self.start("gacha", "a cat", "--minutes", "600", "--steps", "2", "--seed", "1", "--out", "out")
        before = {}
        for _ in range(2):
            told = 0
            while told < 6:
                line = process.stderr.readline()
                self.assertTrue(line)
                told += line.startswith("candidate ")
            process.kill()
            process.communicate()
            (folder,) = self.folder.glob("out/*/gacha-*")
            self.assertEqual(before, {path: path.stat().st_mtime_ns for path in before})
            drawn = {path: path.stat().st_mtime_ns for path in self.pictures(folder)}
            self.assertGreaterEqual(len(drawn), len(before) + 5)
            before = drawn
            process = self.start("gacha", "--resume", folder)
        process.kill()
        process.communicate()
        drawn = self.pictures(folder)
        plan = json.loads((folder / "session.json").read_text())
        self.assertGreater(plan["count"], len(drawn))
        (folder / "session.json").write_text(json.dumps({**plan, "minutes": 1e-6}))
        document = self.gacha("--resume", folder)  # whose time is over
        self.assertEqual([cell["number"] for cell in document["cells"]], list(range(1, len(drawn) + 1)))
        self.assertEqual(self.pictures(folder), drawn)

    @posix
    def test_one_process_at_a_time_draws_into_a_folder(self):
        folder = self.gacha("a cat", "--count", "1", "--steps", "1", "--seed", "1")["folder"]
        first = os.open(self.folder / folder, os.O_RDONLY)
        self.addCleanup(os.close, first)
        fcntl.flock(first, fcntl.LOCK_EX)
        self.assert_refused(self.run_fude("gacha", "--resume", folder), 2, "gacha-001", "another fude")
        fcntl.flock(first, fcntl.LOCK_UN)
        self.gacha("--resume", folder)

    def test_the_sheet_grows(self):
        process = self.start("gacha", "a cat", "--count", "1000", "--steps", "2", "--seed", "1", "--out", "out")
        process.stderr.readline()
        (folder,) = self.folder.glob("out/*/gacha-*")
        sheets = set()
        while len(sheets) < 2:
            self.assertIsNone(process.poll())
            with contextlib.suppress(FileNotFoundError):
                sheets.add((folder / "sheet.png").read_bytes())
            time.sleep(0.05)
        process.kill()
        process.communicate()
        self.assert_whole(folder)


class Disk(Sessions):
    @posix
    def test_a_folder_that_may_not_be_written(self):
        locked = "/proc/fude"  # not even root writes there
        if os.geteuid() != 0:
            locked = self.folder / "locked"
            locked.mkdir(mode=0o500)
        for command in ["sweep", "gacha"]:
            self.assert_refused(self.run_fude(command, *SIDES, "a cat", "--out", locked), 1, locked)

    def test_a_disk_that_fills_up(self):
        for command, arguments in [("sweep", ["--seed", "1..30"]), ("gacha", ["--seed", "1", "--count", "30"])]:
            with self.subTest(command=command), self.small_disk(300) as disk:
                outcome = self.run_fude(command, *SIDES, "a cat", "--steps", "1", *arguments, "--out", disk / "out", "--quiet")
                self.assertEqual((outcome.code, outcome.out), (1, ""), outcome)
                self.assertRegex(outcome.err, r"(?m)^error: cannot write .*disk/out.*")
                (folder,) = disk.glob("out/*/*")
                self.assertIn(f'Go on with: fude {command} --resume "{folder}"', outcome.err)
                kept = self.pixels(folder)
                self.assertGreater(len(kept), 0)
                self.assert_whole(folder)
                self.assertEqual(list(folder.rglob("*.part")), [])
                subprocess.run(["mount", "-o", "remount,size=20m", str(disk)], check=True)
                document = self.session(command, "--resume", folder)
                self.assertEqual(len(document["cells"]), 30)
                self.assertEqual(kept, {name: pixels for name, pixels in self.pixels(folder).items() if name in kept})
            (self.folder / "disk").rmdir()


class Terminal(Sessions):
    def run_in_terminal(self, *arguments, columns=80, resized=None, typed=b"", code=0, **environment):
        if WINDOWS:
            self.skipTest("Wine has no terminal of its own")
        try:
            leader, follower = pty.openpty()
        except OSError as error:
            self.skipTest(f"no pseudo-terminals here: {error}")

        def resize(to):
            fcntl.ioctl(leader, termios.TIOCSWINSZ, struct.pack("HHHH", 24, to, 0, 0))

        resize(columns)
        process = subprocess.Popen([FUDE, *map(str, arguments)], cwd=self.folder, env=self.environment(**environment), stdin=follower,
                                   stdout=subprocess.PIPE, stderr=follower)
        os.close(follower)
        reader = threading.Thread(target=process.stdout.read)  # so that it never waits
        reader.start()
        shown = b""
        if typed:
            os.write(leader, typed)
        with contextlib.suppress(OSError):  # the end of a terminal
            while piece := os.read(leader, 65536):
                shown += piece
                if resized and b"cell 3/" in shown:
                    resize(resized)
                    shown, resized = b"", None
        os.close(leader)
        process.wait(timeout=PATIENCE)
        reader.join()
        process.stdout.close()
        self.assertEqual(process.returncode, code, shown)
        return shown.decode("utf-8")

    def lines(self, shown):
        return re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;]*[mK]", "", shown))

    SWEEP = ["sweep", *SIDES, "a cat", "--seed", "1", "--steps", "2..9"]

    def test_the_bar(self):
        shown = self.run_in_terminal(*self.SWEEP, columns=100)
        self.assertRegex(shown, r"cell 7/8  8 steps  ")
        self.assertRegex(shown, r"  8/8  .* left")
        self.assertIn("━", shown)
        self.assertIn("\x1b[36m", shown)
        self.assertNotIn("00001-1.png", shown)  # lines for each picture are for files
        plain = self.run_in_terminal(*self.SWEEP, LC_ALL="C", NO_COLOR="1")
        self.assertIn("#", plain)
        self.assertNotIn("\x1b[36m", plain)

    def test_no_line_is_wider_than_the_terminal(self):
        wide = ["sweep", *SIDES, "温泉のカピバラ、冬の木版画、雪と湯気と提灯", "-p", "a very long prompt about a cat on a bench in the snow at night",
                "--seed", "1", "--steps", "2,3"]
        for columns in [20, 45, 132]:
            for line in self.lines(self.run_in_terminal(*wide, columns=columns)):
                columns_of_line = sum(2 if ord(c) > 0x2E80 else 1 for c in line)
                if line.startswith("cell"):
                    self.assertLess(columns_of_line, columns, line)

    def test_the_terminal_may_be_resized(self):
        many = ["sweep", *SIDES, "a cat", "--seed", "1..60", "--steps", "2"]  # more than a terminal takes before they are read
        shown = self.run_in_terminal(*many, columns=120, resized=40)
        last = [line for line in self.lines(shown) if line.startswith("cell")][-10:]
        self.assertTrue(last)
        for line in last:
            self.assertLess(len(line), 40)

    def test_large_work_asks(self):
        large = ["sweep", *SIDES, "a cat", "--seed", "1..1001", "--steps", "1", "--guidance", "1"]
        shown = self.run_in_terminal(*large, typed=b"n\n", code=130)
        self.assertIn("1001 pictures", shown)
        self.assertIn("[y/N]", shown)
        self.assertEqual([file for file in self.files() if file.startswith("outputs")], [])

    def test_quiet(self):
        few = ["sweep", *SIDES, "a cat", "--seed", "1", "--steps", "1,2"]  # too few to be called slow on a busy machine
        self.assertEqual(self.run_in_terminal(*few, "--quiet"), "")


if __name__ == "__main__":
    unittest.main()
