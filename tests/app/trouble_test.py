#!/usr/bin/env python3
"""Whatever becomes of fude's own files, pictures are drawn; where pictures cannot be saved, nothing is begun. Standard library only.

    FUDE=build/test/fude python3 tests/app/trouble_test.py
"""

import json
import os
import re
import signal
import sqlite3
import subprocess
import unittest

from support import FUDE, SMALL, CommandLine, png_texts, posix

SURPRISE = "this should not have happened"


class Trouble(CommandLine):
    def assert_draws(self, *words, home=None, warnings=1, **environment):
        outcome = self.generate("a cat", "--steps", "1", "--json", "--quiet", FUDE_HOME=str(home or self.home), **environment)
        self.assertEqual(outcome.code, 0, outcome)
        self.assertNotIn(SURPRISE, outcome.err)
        (image,) = json.loads(outcome.out)["images"]
        png_texts(self.folder / image["path"])
        told = re.findall("(?m)^warning: .*$", outcome.err)
        self.assertEqual(len(told), warnings, outcome)
        for word in words:
            self.assertIn(str(word), told[0])
        return image

    def assert_history_says_why(self, *words, home=None, **environment):
        outcome = self.run_fude("history", FUDE_HOME=str(home or self.home), **environment)
        self.assert_refused(outcome, 1, *words)
        self.assertNotIn(SURPRISE, outcome.err)

    def unusable(self):
        """Paths that cannot be folders, each with a word of the reason."""
        loop = self.folder / "loop"
        loop.symlink_to(loop)
        file = self.folder / "file"
        file.write_text("")
        pipe = self.folder / "pipe"
        os.mkfifo(pipe)
        yield loop, "symbolic links"
        yield loop / "below", "symbolic links"
        yield self.folder / ("a" * 300), "too long"
        yield self.folder / "/".join(["b" * 200] * 25), "too long"
        yield file, "file"
        yield file / "below", "file"
        yield pipe, "pipe"
        yield "/proc/fude", "/proc/fude"
        if os.geteuid() != 0:
            locked = self.folder / "locked"
            locked.mkdir(mode=0)
            yield locked, "ermission"


class OwnFiles(Trouble):
    """FUDE_HOME and what lies in it."""

    @posix
    def test_a_home_that_is_no_folder(self):
        for home, word in self.unusable():
            with self.subTest(home=str(home)[:80]):
                image = self.assert_draws(word, "history", "embeddings", "rates", "FUDE_HOME", home=home)
                self.assertIsNone(image["id"])

    @posix
    def test_a_part_of_the_home_that_is_no_folder_or_file(self):
        for name, what in [("embeddings", "embeddings of prompts"), ("calibration.json", "this machine's rates"), ("history.sqlite3", "the history")]:
            for kind in ["loop", "pipe", "other"]:
                with self.subTest(name=name, kind=kind):
                    path = self.home / name
                    if path.is_file():
                        path.unlink()
                    if kind == "loop":
                        path.symlink_to(path)
                    elif kind == "pipe":
                        os.mkfifo(path)
                    elif name == "embeddings":
                        path.write_text("a file")
                    else:
                        path.mkdir()
                    image = self.assert_draws(what, name, "what is not kept: " + what)
                    self.assertEqual(image["id"] is None, name == "history.sqlite3")
                    if name == "history.sqlite3":
                        self.assert_history_says_why(name)
                    self.assertTrue(kind == "loop" or path.exists())
                    if path.is_dir() and not path.is_symlink():
                        path.rmdir()
                    else:
                        path.unlink()
        self.assert_draws(warnings=0)

    @posix
    def test_pipes_where_sqlite_keeps_its_journals(self):
        self.assert_draws(warnings=0)
        for ending in ["-journal", "-wal", "-shm"]:
            with self.subTest(ending=ending):
                pipe = self.home / ("history.sqlite3" + ending)
                os.mkfifo(pipe)
                self.assert_draws(pipe.name)
                pipe.unlink()

    @posix
    def test_kept_files_that_are_none(self):
        self.assert_draws(warnings=0)
        for file in (self.home / "embeddings").iterdir():
            file.unlink()
            os.mkfifo(file)
        (self.home / "embeddings" / "loop.safetensors").symlink_to("loop.safetensors")
        self.assert_draws("not kept for later", self.home / "embeddings")  # told at the end: the folder itself was sound

    def test_a_history_that_is_held(self):
        self.assert_draws(warnings=0)
        database = sqlite3.connect(self.home / "history.sqlite3", isolation_level=None)
        database.execute("BEGIN EXCLUSIVE")
        try:
            self.assert_draws("another process", "the history")
        finally:
            database.close()

    @posix
    def test_a_current_folder_that_is_gone(self):
        folder = self.made_folder("gone")
        command = f'cd "{folder}" && rmdir "{folder}" && exec "$@"'
        where = ["--out", self.folder / "out", "--quiet", "--json"]
        done = subprocess.run(["sh", "-c", command, "sh", FUDE, "generate", *SMALL, "a cat", *map(str, where)], capture_output=True, text=True,
                              env=self.environment(FUDE_HOME="home"), timeout=300)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn(SURPRISE, done.stderr)
        self.assertEqual(len([file for file in self.files() if file.endswith(".png")]), 1)

    @unittest.skipUnless(os.environ.get("SILENT_DRIVE_LIBRARY"), "not built here")
    @posix
    def test_a_drive_that_does_not_answer(self):
        drive = self.made_folder("drive")
        gone = {"SILENT_DRIVE": str(drive), "LD_PRELOAD": os.environ["SILENT_DRIVE_LIBRARY"]}
        image = self.assert_draws("does not answer", "FUDE_HOME", "history", "embeddings", "rates", home=drive, **gone)
        self.assertIsNone(image["id"])
        self.assert_history_says_why("does not answer", home=drive, **gone)
        self.assertEqual(list(drive.iterdir()), [])
        (self.home / "embeddings").symlink_to(drive)
        self.assert_draws("does not answer", **{**gone, "SILENT_DRIVE": str(self.home / "embeddings")})

    @posix
    def test_sessions_warn_once(self):
        for command, more in [("sweep", ["--seed", "1,2", "--dtype", "f32,bf16"]), ("gacha", ["--count", "2"])]:
            outcome = self.run_fude(command, *SMALL, "a cat", *more, "--quiet", FUDE_HOME="/proc/fude")
            self.assertEqual(outcome.code, 0, outcome)
            self.assertEqual(len(re.findall("(?m)^warning: ", outcome.err)), 1, outcome)


class Output(Trouble):
    @posix
    def test_what_cannot_be_written_is_refused_before_anything_is_loaded(self):
        for out, word in self.unusable():
            for command in ["generate", "sweep", "gacha"]:
                with self.subTest(out=str(out)[:80], command=command):
                    outcome = self.run_fude(command, "a cat", *SMALL, "--out", out)
                    self.assert_refused(outcome, 1, word)
                    self.assertNotIn(SURPRISE, outcome.err)
                    self.assertEqual(len(outcome.err.splitlines()), 1, outcome)

    def test_a_full_disk_is_noticed_before_the_work(self):
        with self.small_disk(64) as disk:
            (disk / "today").mkdir()
            with open(disk / "filler", "wb", buffering=0) as filler:
                try:
                    while True:
                        filler.write(b"x" * 4096)
                except OSError:
                    pass
            outcome = self.generate("a cat", "-o", disk / "cat.png")
            self.assert_refused(outcome, 1, "No space left")
            self.assertNotIn("encode", outcome.err)

    def test_a_picture_s_name_is_no_folder(self):
        for command in ["generate", "sweep", "gacha"]:
            self.assert_refused(self.run_fude(command, "a cat", *SMALL, "--out", "cat.PNG"), 2, "cat.PNG", "-o")
        self.assertEqual(self.files(), [])
        (self.folder / "cat.png").mkdir()
        (image,) = self.draw("a cat", "--out", "cat.png")["images"]
        self.assertTrue(image["path"].startswith("cat.png/"))

    def test_one_file_that_is_named(self):
        (image,) = self.draw("a cat", "--seed", "1", "-o", "pictures/a cat.PNG")["images"]
        self.assertEqual((image["path"], image["id"]), ("pictures/a cat.PNG", 1))
        self.assertEqual(json.loads(png_texts(self.folder / image["path"])["fude"])["prompt"], "a cat")
        outcome = self.generate("a dog", "--seed", "2", "--output", "pictures/a cat.PNG", "--quiet")
        self.assertEqual((outcome.code, outcome.out), (0, "pictures/a cat.PNG\n"), outcome)
        self.assertEqual(self.files(), ["pictures/a cat.PNG"])
        (entry,) = json.loads(self.run_fude("history", "--json").out)
        self.assertEqual((entry["path"], entry["prompt"]), (str(self.folder / image["path"]), "a dog"))
        again = self.run_fude("history", "run", "1", "-o", "again.png", "--quiet")
        self.assertEqual(again.out, "again.png\n")
        refined = self.run_fude("refine", "--id", "1", "--steps", "3", "-o", "refined.png", "--quiet")
        self.assertEqual((refined.out, png_texts(self.folder / "refined.png") is None), ("refined.png\n", False), refined)
        self.assert_refused(self.run_fude("refine", "--id", "1", "--variations", "2", "-o", "refined.png"), 2, "--output", "2 pictures")
        self.assertEqual((self.folder / "again.png").read_bytes(), (self.folder / image["path"]).read_bytes())

    @posix
    def test_files_that_cannot_be_named(self):
        (self.folder / "folder.png").mkdir()
        os.mkfifo(self.folder / "pipe.png")
        for arguments, code, words in [(["-o", "cat.jpg"], 2, ["cat.jpg", "PNG"]), (["-o", "cat"], 2, ["cat", ".png"]), (["-o", "-"], 2, ["-o"]),
                                       (["-o", "cat.png", "--count", "2"], 2, ["--output", "2 pictures", "--out"]),
                                       (["-o", "cat.png", "--out", "out"], 2, ["--output", "--out"]),
                                       (["-o", "folder.png"], 1, ["folder.png", "folder"]), (["-o", "pipe.png"], 1, ["pipe.png", "regular"]),
                                       (["-o", "/proc/fude/cat.png"], 1, ["/proc/fude"]), (["--trace", "folder.png"], 1, ["folder.png"])]:
            with self.subTest(arguments=arguments):
                self.assert_refused(self.generate("a cat", *arguments), code, *words)
        self.assertEqual([file for file in self.files() if file.endswith(".png")], [])

    def test_nobody_reads_the_paths(self):
        process = subprocess.Popen([FUDE, "generate", *SMALL, "a cat", "--count", "3"], cwd=self.folder, env=self.environment(), text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        process.stdout.close()  # as `head` does
        with process.stderr as stream:
            errors = stream.read()
        self.assertEqual(process.wait(timeout=300), 0, errors)
        self.assertEqual(len([file for file in self.files() if file.endswith(".png")]), 3)

    @posix
    def test_paths_that_cannot_be_written_cost_no_picture(self):
        if not os.path.exists("/dev/full"):
            self.skipTest("no /dev/full here")
        with open("/dev/full", "w") as full:
            outcome = self.generate("a cat", "--count", "3", stdout=full)
        self.assertEqual(outcome.code, 1, outcome)
        pictures = [file for file in self.files() if file.endswith(".png")]
        self.assertEqual(len(pictures), 3)
        for picture in pictures:
            self.assertIn(picture, outcome.err)

    @posix
    def test_streams_that_are_closed(self):
        command = 'exec "$@" >&- <&-'
        done = subprocess.run(["sh", "-c", command, "sh", FUDE, "generate", *SMALL, "a cat", "--count", "2"], cwd=self.folder,
                              env=self.environment(), stderr=subprocess.PIPE, text=True, timeout=300)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("standard output", done.stderr)
        pictures = [file for file in self.files() if file.endswith(".png")]
        self.assertEqual(len(pictures), 2)
        for picture in pictures:
            png_texts(self.folder / picture)
        self.assertEqual([entry["missing"] for entry in json.loads(self.run_fude("history", "--json").out)], [False, False])


class Signals(CommandLine):
    @posix
    def test_each_ends_the_work_in_good_order(self):
        for ends in [[signal.SIGTERM], [signal.SIGHUP], [signal.SIGHUP, signal.SIGHUP, signal.SIGTERM]]:
            with self.subTest(ends=ends):
                out = "-".join(map(str, map(int, ends)))
                process = subprocess.Popen([FUDE, "generate", *SMALL, "a cat", "--count", "1000", "--out", out], cwd=self.folder, text=True,
                                           env=self.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                first = process.stdout.readline().strip()
                for end in ends:
                    process.send_signal(end)
                rest, errors = process.communicate(timeout=300)
                self.assertEqual(process.returncode, 130, errors)
                self.assertIn("stopped", errors)
                self.assertIn(first, errors)
                paths = [first, *rest.split()]
                self.assertLess(len(paths), 1000)
                self.assertEqual([file for file in self.files() if file.startswith(out + "/")], sorted(paths))
                for path in paths:
                    png_texts(self.folder / path)

    @posix
    def test_nohup_is_respected(self):
        process = subprocess.Popen(["nohup", FUDE, "generate", *SMALL, "a cat", "--count", "3"], cwd=self.folder, env=self.environment(), text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
        process.stdout.readline()
        process.send_signal(signal.SIGHUP)
        _, errors = process.communicate(timeout=300)
        self.assertEqual(process.returncode, 0, errors)


if __name__ == "__main__":
    unittest.main()
