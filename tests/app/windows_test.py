#!/usr/bin/env python3
"""What only Windows does to a program: its paths, files that others hold, folders that cannot be written, libraries that are missing.
Run under Wine by tests/windows.py; elsewhere everything is skipped. Standard library only.
"""

import contextlib
import json
import os
import pathlib
import re
import shutil
import sqlite3
import subprocess
import unittest

from support import FUDE, PATIENCE, REPOSITORY, SMALL, WINDOWS, CommandLine, png_pixels, png_texts

WINE = REPOSITORY / "scripts" / "wine"
PROGRAM = pathlib.Path(FUDE).parent / "fude.exe"


@unittest.skipUnless(WINDOWS, "Windows alone has this")
class Windows(CommandLine):
    def unpacked(self, folder):
        """The program with all it needs, and no demo model."""
        for file in [PROGRAM, *PROGRAM.parent.glob("*.dll")]:
            shutil.copy(file, folder)
        return folder / "fude.exe"

    def run_unpacked(self, program, *arguments, **environment):
        done = subprocess.run([WINE, program, *map(str, arguments)], cwd=self.folder, env=self.environment(**environment), encoding="utf-8",
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE)
        return done.returncode, done.stdout, done.stderr


class Paths(Windows):
    def test_spaces_and_japanese(self):
        folder = self.folder / "灯台の 夜 ünïcode"
        (image,) = self.draw("灯台の夜", "--seed", "1", "--out", folder)["images"]
        self.assertEqual(pathlib.Path(image["path"]).parent.parent, folder)
        self.assertEqual(json.loads(png_texts(image["path"])["fude"])["prompt"], "灯台の夜")
        (entry,) = json.loads(self.run_fude("history", "--search", "灯台の", "--json").out)
        self.assertEqual(entry["path"], image["path"])
        again = self.run_fude("generate", "--from", image["path"], "--threads", "1", "-o", "もう 一度.png", "--quiet")
        self.assertEqual((again.code, again.out), (0, "もう 一度.png\n"), again)
        self.assertEqual(png_pixels(self.folder / "もう 一度.png"), png_pixels(image["path"]))

    def test_a_prompt_may_begin_with_a_slash(self):
        (image,) = self.draw("/imagine a cat", "--seed", "1")["images"]
        self.assertEqual(json.loads(png_texts(self.folder / image["path"])["fude"])["prompt"], "/imagine a cat")

    def test_both_separators(self):
        for path in ["a/b.png", "a\\c.png"]:
            self.assertEqual(self.generate("a cat", "-o", path, "--quiet").code, 0)
        self.assertEqual(self.files(), ["a/b.png", "a/c.png"])

    def test_a_path_of_300_characters(self):
        folder = pathlib.Path(*["long" * 12] * 6)
        self.assertGreater(len(str(self.folder / folder)), 300)
        (image,) = self.draw("a cat", "--seed", "1", "--out", folder)["images"]
        png_texts(self.folder / image["path"])

    def test_own_files_lie_in_the_local_application_data(self):
        (local,) = (REPOSITORY / "build" / "wine" / "drive_c" / "users").glob("*/AppData/Local")
        shutil.rmtree(local / "fude", ignore_errors=True)
        (image,) = self.draw("a cat", "--seed", "1", FUDE_HOME="", XDG_DATA_HOME="")["images"]
        self.assertEqual(image["id"], 1)
        self.assertTrue((local / "fude" / "history.sqlite3").is_file())


class Pictures(Windows):
    """Drawn by both programs on one processor, with the same version of oneDNN, they are the same to the last bit."""

    def test_are_those_of_linux(self):
        of_linux = os.environ.get("FUDE_OF_LINUX")
        if not of_linux:
            self.skipTest("no program for Linux was built")
        libraries = [subprocess.run([program, "--version"], stdout=subprocess.PIPE, encoding="utf-8").stdout for program in [FUDE, of_linux]]
        if len({re.search(r"oneDNN (\d+\.\d+)", each)[1] for each in libraries}) > 1:
            self.skipTest("the program for Linux has another version of oneDNN")
        for dtype in ["f32", "bf16"]:
            with self.subTest(dtype=dtype):
                arguments = ["generate", "a red bicycle", "--seed", "2", "--steps", "4", "--dtype", dtype, "-W", "128", "-H", "128", "--threads", "2",
                             "--quiet", "-o"]
                self.assertEqual(self.run_fude(*arguments, "windows.png").code, 0)
                subprocess.run([of_linux, *arguments, "linux.png"], cwd=self.folder, env=self.environment(), check=True, stdout=subprocess.DEVNULL)
                self.assertEqual(png_pixels(self.folder / "windows.png"), png_pixels(self.folder / "linux.png"))


class Held(Windows):
    def hold(self, path):
        """Another program that has the file open for itself alone."""
        process = subprocess.Popen([WINE, PROGRAM.parent / "hold_file.exe", path.name], cwd=self.folder, stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.addCleanup(process.communicate)
        self.assertEqual(process.stdout.readline().strip(), "held")

    def test_a_picture_that_somebody_has_open(self):
        (self.folder / "cat.png").write_bytes(b"")
        self.hold(self.folder / "cat.png")
        outcome = self.generate("a cat", "-o", "cat.png")
        self.assert_refused(outcome, 1, "cat.png", "cannot write")
        self.assertNotIn("encode", outcome.err)  # before the work

    def test_a_picture_that_may_not_be_changed(self):
        (self.folder / "cat.png").write_bytes(b"")
        (self.folder / "cat.png").chmod(0o444)
        self.assert_refused(self.generate("a cat", "-o", "cat.png"), 1, "cat.png", "cannot write")


class Unpacked(Windows):
    def test_in_a_folder_that_cannot_be_written(self):
        with self.read_only_folder(self.unpacked) as folder:
            done = subprocess.run([WINE, folder / "fude.exe", "generate", *SMALL, "a cat"], cwd=folder, env=self.environment(), encoding="utf-8",
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE)
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertIn("cannot make the folder", done.stderr)
            self.assertIn("Choose another folder", done.stderr)
            self.assertNotIn("encode", done.stderr)
            code, out, err = self.run_unpacked(folder / "fude.exe", "generate", *SMALL, "a cat", "--quiet", "-o", "cat.png")
            self.assertEqual((code, out), (0, "cat.png\n"), err)

    def read_only_folder(self, fill):
        @contextlib.contextmanager
        def mounted():
            folder = self.made_folder("unpacked")
            fill(folder)
            bind = ["mount", "--bind", str(folder), str(folder)]
            if os.geteuid() != 0 or subprocess.run(bind, stderr=subprocess.DEVNULL).returncode != 0:
                self.skipTest("cannot mount a folder read-only here")
            try:
                subprocess.run(["mount", "-o", "remount,ro,bind", str(folder)], check=True)
                yield folder
            finally:
                subprocess.run(["umount", str(folder)], check=True)

        return mounted()

    def test_a_missing_library_is_named(self):
        for library in ["dnnl.dll", "vcomp140.dll"]:
            with self.subTest(library=library):
                folder = self.made_folder("unpacked")
                program = self.unpacked(folder)
                (folder / library).unlink()
                code, out, err = self.run_unpacked(program, "generate", *SMALL, "a cat")
                self.assertEqual((code, out), (1, ""), err)
                self.assertIn(library, err)
                self.assertIn("Unpack", err)


class Databases(Windows):
    def test_one_of_a_newer_fude(self):
        self.draw("a cat", "--seed", "1")
        database = sqlite3.connect(self.home / "history.sqlite3", isolation_level=None)
        database.execute("PRAGMA user_version = 1000")
        database.close()
        outcome = self.run_fude("history")
        self.assert_refused(outcome, 1, "newer")
        (image,) = self.draw("a cat", "--seed", "2", "--quiet")["images"]  # is drawn all the same
        self.assertIsNone(image["id"])


if __name__ == "__main__":
    unittest.main()
