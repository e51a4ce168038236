#!/usr/bin/env python3
"""The history through the real command line. Standard library only.

    FUDE=build/test/fude python3 tests/app/history_test.py
"""

import concurrent.futures
import csv
import fcntl
import io
import json
import os
import pathlib
import pty
import re
import shutil
import sqlite3
import stat
import struct
import subprocess
import termios
import unicodedata
import unittest
import urllib.parse
import zlib

from support import FIXTURES, FUDE, MODEL, PATIENCE, SMALL, CommandLine, png_chunks, png_pixels, posix


def write_chunks(path, chunks):
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        for kind, body in chunks:
            file.write(struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)))


def columns_of(text):
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


class HistoryCommands(CommandLine):
    def drawn(self, prompt, *arguments, **more):
        (image,) = self.draw(prompt, "--steps", "1", *arguments, **more)["images"]
        return image

    def history(self, *arguments, **more):
        outcome = self.run_fude("history", *arguments, **more)
        self.assertEqual(outcome.code, 0, outcome)
        return outcome.out

    def entries(self, *arguments, **more):
        return json.loads(self.history(*arguments, "--json", **more))

    def ids(self, *arguments, **more):
        return [entry["id"] for entry in self.entries(*arguments, **more)]

    def database(self):
        return sqlite3.connect(self.home / "history.sqlite3")

    def change(self, sql, *values):
        database = self.database()
        with database:
            database.execute(sql, values)
        database.close()


class Listing(HistoryCommands):
    def test_nothing_was_drawn(self):
        outcome = self.run_fude("history")
        self.assertEqual((outcome.code, outcome.out), (0, ""), outcome)
        self.assertIn("no such picture", outcome.err)
        self.assertEqual(self.entries(), [])
        self.assert_refused(self.run_fude("history", "show", "1"), 2, "no entry 1", self.home)
        self.assertEqual(list(self.home.iterdir()), [])

    def test_newest_first_with_all_that_was_asked(self):
        first = self.drawn("a cat", "--seed", str(2**64 - 1), "--guidance", "4.5")
        second = self.draw("温泉のカピバラ\n二行目", "--seed", "7", "--count", "2")["images"]
        self.assertEqual([first["id"], *(image["id"] for image in second)], [1, 2, 3])
        entries = self.entries()
        self.assertEqual([entry["id"] for entry in entries], [3, 2, 1])
        for image, entry in zip([second[1], second[0], first], entries):
            self.assertEqual(entry["path"], str(self.folder / image["path"]))
            self.assertEqual((entry["seed"], entry["sha256"]), (image["seed"], image["sha256"]))
        oldest = entries[2]
        self.assertEqual((oldest["prompt"], oldest["request"]["guidance"], oldest["request"]["seed"]), ("a cat", 4.5, 2**64 - 1))
        self.assertEqual((oldest["model"], oldest["model_path"], oldest["kind"], oldest["threads"]), ("dual", str(MODEL), "generate", 1))
        self.assertEqual((oldest["rating"], oldest["missing"], len(oldest["making"]["step_seconds"])), (0, False, 1))
        self.assertRegex(oldest["created"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$")
        header, *rows = self.history("list").splitlines()
        self.assertEqual(header.split(), ["id", "time", "stars", "size", "steps", "cfg", "seed", "prompt"])
        self.assertRegex(rows[0], r"^ ?3  \d\d-\d\d \d\d:\d\d +64x64 +2 +7 +8  温泉のカピバラ 二行目$")
        self.assertRegex(rows[2], r"^ ?1  .* 4.5  18446744073709551615  a cat$")

    def test_words_are_found_in_prompts(self):
        for prompt in ["温泉のカピバラ、木版画", 'a 100% "honest" CAT OR dog', "猫", "snake_case NEAR(the) sea*"]:
            self.drawn(prompt)
        for words, ids in [("カピバラ", [1]), ("木版画　温泉", [1]), ("猫", [3]), ("cat", [2]), ('"honest"', [2]), ("100%", [2]), ("%", [2]),
                           ("_", [4]), ("OR", [2]), ("sea*", [4]), ("cat*", []), ("NEAR(the)", [4]), ("'", []), ('"', [2]), ("dog honest", [2]),
                           ("dog sea", []), ("", [4, 3, 2, 1])]:
            with self.subTest(words=words):
                self.assertEqual(self.ids("--search", words), ids)

    def test_filters(self):
        for seed in range(1, 4):
            self.drawn("a cat", "--seed", seed)
        self.drawn("a cat", "--model", FIXTURES / "plain")
        self.change("UPDATE pictures SET created = '2025-11-2' || id || 'T12:00:00'")
        self.change("UPDATE pictures SET making = json_set(making, '$.created', created)")
        self.history("star", "2")
        self.history("star", "3", "--rating", "2")
        for arguments, ids in [(["--starred"], [3, 2]), (["--rating", "3"], [2]), (["--model", "DUA"], [3, 2, 1]), (["--kind", "sweep"], []),
                               (["--since", "2025-11-22", "--until", "2025-11-23"], [3, 2]), (["--since", "2025-11-23 12:01"], [4]),
                               (["--limit", "2"], [4, 3]), (["--limit", "0"], [4, 3, 2, 1]), (["list", "--search", "cat", "--limit", "1"], [4])]:
            with self.subTest(arguments=arguments):
                self.assertEqual(self.ids(*arguments), ids)
        for arguments, words in [(["--since", "yesterday"], ["--since", "2026-11-24"]), (["--rating", "6"], ["--rating 6"]),
                                 (["--limit", "-1"], ["--limit -1"]), (["--limti", "1"], ["--limit"]), (["lst"], ["fude history list"])]:
            self.assert_refused(self.run_fude("history", *arguments), 2, *words)
        self.assertEqual(self.history("--starred").splitlines()[2].split()[2], "*****")
        self.assertIn(" 2025-11-22 ", self.history())

    def test_a_list_without_limit_shows_the_newest(self):
        self.draw("a cat", "--steps", "1", "--count", "22", "-W", "16", "-H", "16")
        outcome = self.run_fude("history")
        self.assertEqual(len(outcome.out.splitlines()), 1 + 20)
        self.assertIn("--limit 0", outcome.err)
        self.assertEqual(len(self.ids()), 22)

    @posix
    def test_the_table_fits_the_terminal(self):
        self.drawn("温泉のカピバラ" * 20, "--seed", str(2**64 - 1))
        self.drawn("a\x1b[31m cat\ton a \u009b1mbench " + "and another " * 20, "--seed", "1")
        for columns in [20, 40, 80, 200]:
            leader, follower = pty.openpty()
            fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
            subprocess.run([FUDE, "history"], env=self.environment(), stdout=follower, stderr=follower, check=True, timeout=PATIENCE)
            os.close(follower)
            lines = os.read(leader, 65536).decode("utf-8").splitlines()
            os.close(leader)
            self.assertEqual(len(lines), 3, lines)
            for line in lines:
                self.assertLessEqual(columns_of(line), columns, line)
                self.assertNotRegex(line, "[\x00-\x1f\x7f-\x9f]")
            self.assertRegex(lines[1], "^ 2  .*a .*…$")
            self.assertRegex(lines[2], "^ 1  .*温泉.*…$")


class OneEntry(HistoryCommands):
    def test_show(self):
        image = self.drawn("a cat", "--seed", "5", "--negative", "dogs")
        text = self.history("show", image["id"])
        for word in [self.folder / image["path"], "a cat", "dogs", "64x64", "seed        5", MODEL, "oneDNN"]:
            self.assertIn(str(word), text)
        self.assertNotIn("changed", text)
        document = self.entries("show", "1")
        self.assertEqual((document["id"], document["prompt"]), (1, "a cat"))
        with open(self.folder / image["path"], "ab") as file:
            file.write(b"more")
        self.assertIn("(changed since it was drawn)", self.history("show", "1"))

    def test_numbers_that_are_none(self):
        self.drawn("a cat")
        for command in ["show", "run", "verify", "star"]:
            with self.subTest(command=command):
                self.assert_refused(self.run_fude("history", command, "41"), 2, "no entry 41", "fude history")
                self.assert_refused(self.run_fude("history", command, "-1"), 2)
                self.assert_refused(self.run_fude("history", command, "cat"), 2, '"cat"')
                self.assert_refused(self.run_fude("history", command, "99999999999999999999"), 2, "99999999999999999999")
                self.assert_refused(self.run_fude("history", command), 2, "number")

    def test_a_file_that_is_gone_is_noticed(self):
        image = self.drawn("a cat", "--seed", "5")
        before = png_pixels(self.folder / image["path"])
        shutil.move(self.folder / image["path"], self.folder / "elsewhere.png")
        self.assertIn("(missing) a cat", self.history())
        self.assertIn("(missing", self.history("show", "1"))
        self.assertTrue(self.entries()[0]["missing"])
        self.assert_refused(self.run_fude("history", "verify", "1"), 1, "nothing to compare", image["path"], "fude history run 1")
        again = self.run_fude("history", "run", "1", "--quiet")
        self.assertEqual(again.code, 0, again)
        self.assertEqual(png_pixels(self.folder / again.out.strip()), before)

    def test_star(self):
        self.drawn("a cat")
        self.assertEqual(self.history("star", "1"), "")
        self.assertEqual(self.entries()[0]["rating"], 5)
        self.assertEqual(self.entries("star", "1", "--rating", "3")["rating"], 3)
        self.assertEqual(self.entries("show", "1")["rating"], 3)
        self.history("star", "1", "--rating", "0")
        self.assertEqual(self.ids("--starred"), [])
        self.assert_refused(self.run_fude("history", "star", "1", "--rating", "6"), 2, "--rating 6", "5")

    def test_run_repeats_a_picture(self):
        (first, second) = self.draw("a cat, 温泉", "--negative", "dogs", "--seed", str(2**63 + 5), "--guidance", "4.5", "--count", "2",
                                    "--noise", "torch-cpu-bf16", "--shift", "2.5", "--no-t5")["images"]
        again = self.run_fude("history", "run", second["id"], "--json", FUDE_MODEL=str(FIXTURES / "plain"))
        self.assertEqual(again.code, 0, again)
        self.assertNotIn("drawn with the model", again.err)
        document = json.loads(again.out)
        self.assertEqual(png_pixels(self.folder / document["images"][0]["path"]), png_pixels(self.folder / second["path"]))
        self.assertEqual(document["images"][0]["id"], 3)
        changed = self.run_fude("history", "run", "1", "--steps", "1", "--seed", "9", "--out", "other", "--json")
        document = json.loads(changed.out)
        self.assertEqual((document["request"]["steps"], document["request"]["seed"], document["request"]["guidance"]), (1, 9, 4.5))
        self.assertTrue(document["images"][0]["path"].startswith("other/"))

    def test_the_model_is_found_again_or_named(self):
        model = self.folder / "a model"
        shutil.copytree(MODEL, model)
        self.drawn("a cat", "--model", "a model")
        model.rename(self.folder / "moved")
        for command in ["run", "verify"]:
            self.assert_refused(self.run_fude("history", command, "1"), 4, model, "--model")
        self.history("run", "1", "--model", "moved", "--quiet")
        self.assertEqual(self.history("verify", "1", "--model", "moved", "--quiet"), "entry 1: bit-equal\n")
        other = self.run_fude("history", "run", "1", "--model", FIXTURES / "plain")
        self.assertEqual(other.code, 0, other)
        self.assertRegex(other.err, r'(?m)^warning: entry 1 was drawn with the model "a model", this is "plain"')


class Verify(HistoryCommands):
    def verify(self, *arguments):
        outcome = self.run_fude("history", "verify", "1", "--json", *arguments)
        self.assertIn(outcome.code, [0, 1], outcome)
        document = json.loads(outcome.out)
        self.assertEqual(outcome.code, 0 if document["bit_equal"] else 1)
        return document

    def test_bit_equal(self):
        self.drawn("a cat", "--seed", "5")
        document = self.verify()
        self.assertEqual((document["id"], document["bit_equal"], document["psnr"], document["differences"]), (1, True, None, []))
        self.assertEqual(self.history("verify", "1", "--quiet"), "entry 1: bit-equal\n")
        self.assertEqual(self.ids(), [1])  # looking adds nothing

    def test_the_batch_is_drawn_again(self):
        self.drawn("a cat", "--seed", "5")
        self.change("UPDATE pictures SET provenance = json_set(provenance, '$.batch', 3, '$.place', 1)")
        (image,) = json.loads(self.history("run", "1", "--json", "--quiet"))["images"]
        self.change("DELETE FROM pictures WHERE id = 1")
        self.change("UPDATE pictures SET id = 1 WHERE id = ?", image["id"])
        request = self.entries()[0]["request"]
        self.assertEqual((request["batch"], request["place"]), (3, 1))
        self.assertTrue(self.verify()["bit_equal"])
        self.assertIn("3 pictures at once, this in place 1", self.history("show", "1"))
        self.history("run", "1", "--count", "2", "--quiet")
        self.assertEqual([entry["request"].get("place", 0) for entry in self.entries()], [1, 0, 1])

    def test_what_is_different_today_is_told(self):
        self.drawn("a cat", "--seed", "5")
        self.change("""UPDATE pictures SET making = json_set(making, '$.version', '0.0.9', '$.libraries', 'oneDNN 1.5, libold 3'),
                       provenance = json_set(provenance, '$.model_hash', 'abc')""")
        differences = {row["what"]: (row["then"], row["now"]) for row in self.verify("--threads", "2")["differences"]}
        self.assertEqual(differences["model hash"][0], "abc")
        self.assertEqual(differences["fude"][0], "0.0.9")
        self.assertEqual(differences["oneDNN"][0], "1.5")
        self.assertEqual(differences["libold"], ("3", "none"))
        self.assertEqual(differences["threads"], ("1", "2"))
        self.assertIn("oneDNN: then 1.5, now ", self.history("verify", "1", "--quiet"))

    def test_older_rules_keep_their_noise_and_are_told(self):
        self.drawn("a cat", "--seed", "5", "--noise", "torch-2.11-cpu-f16")
        self.assertEqual(self.entries("show", "1")["rules"], 2)
        # As fude wrote it before it had rules.
        self.change("UPDATE pictures SET provenance = json_remove(json_set(provenance, '$.noise', 'torch-cpu-f16'), '$.rules')")
        document = self.verify()
        self.assertTrue(document["bit_equal"])
        (rules,) = document["differences"]
        self.assertEqual((rules["what"], rules["then"][0], rules["now"][0]), ("rules", "1", "2"))
        self.assertNotIn("older rules", self.history("verify", "1", "--quiet"))  # it does not differ
        self.assertIn("noise torch-2.11-cpu-f16", self.history("show", "1"))
        self.change("UPDATE pictures SET provenance = json_set(provenance, '$.seed', 6)")
        outcome = self.run_fude("history", "verify", "1", "--quiet")
        self.assertEqual(outcome.code, 1, outcome)
        self.assertIn("older rules", outcome.out)
        self.assertIn("docs/rules.md", outcome.out)

    def test_a_picture_that_was_changed(self):
        path = self.folder / self.drawn("a cat", "--seed", "5")["path"]
        chunks = [(kind, body) for kind, body in png_chunks(path) if kind != b"IDAT"]
        _, rows = png_pixels(path)
        tampered = bytearray(rows)
        tampered[-1] ^= 0x10  # the last value of the last pixel, whatever the row's filter
        write_chunks(path, [*chunks[:-1], (b"IDAT", zlib.compress(bytes(tampered))), chunks[-1]])
        document = self.verify()
        self.assertFalse(document["bit_equal"])
        self.assertAlmostEqual(document["psnr"], 64.9, delta=25)  # 10·log10(255²·64·64·3 / 16²); sums of the filter may wrap
        outcome = self.run_fude("history", "verify", "1", "--quiet")
        self.assertEqual(outcome.code, 1, outcome)
        self.assertRegex(outcome.out, r"^entry 1: PSNR \d+\.\d\d dB\n$")

    def test_a_file_of_another_size_or_kind(self):
        path = self.folder / self.drawn("a cat", "--seed", "5")["path"]
        small = self.folder / self.drawn("a cat", "--seed", "5", "-W", "32")["path"]
        shutil.copy(small, path)
        self.assertEqual(self.verify()["psnr"], None)
        self.assertIn("32x64", self.run_fude("history", "verify", "1", "--quiet").out)
        path.write_text("a letter")
        self.assert_refused(self.run_fude("history", "verify", "1"), 1, "nothing to compare", path)


class Export(HistoryCommands):
    def setUp(self):
        super().setUp()
        self.drawn('a "cat", 温泉\nsecond line', "--seed", "1", "--negative", "dogs, 犬")
        self.drawn("a dog", "--seed", str(2**64 - 1))

    def test_json(self):
        document = json.loads(self.history("export"))
        self.assertEqual([entry["id"] for entry in document], [1, 2])
        self.assertEqual(document, list(reversed(self.entries())))
        self.assertEqual([entry["id"] for entry in json.loads(self.history("export", "--search", "温泉"))], [1])

    def test_csv(self):
        rows = list(csv.DictReader(io.StringIO(self.history("export", "--csv"))))
        self.assertEqual([row["prompt"] for row in rows], ['a "cat", 温泉\nsecond line', "a dog"])
        self.assertEqual((rows[0]["negative"], rows[1]["seed"], rows[1]["steps"]), ("dogs, 犬", str(2**64 - 1), "1"))

    def test_log(self):
        outcome = self.run_fude("history", "export", "--log", "--to", "logs/prompt_log.txt")
        self.assertEqual((outcome.code, outcome.out), (0, ""), outcome)
        lines = (self.folder / "logs" / "prompt_log.txt").read_text(encoding="utf-8").splitlines()
        for line, entry in zip(lines, json.loads(self.history("export")), strict=True):
            self.assertEqual(line.split("\t"), [entry["created"], entry["path"], entry["prompt"].replace("\n", " ")])

    @posix
    def test_one_document_at_a_time(self):
        self.assert_refused(self.run_fude("history", "export", "--csv", "--log"), 2, "--csv")
        self.assert_refused(self.run_fude("history", "export", "--to", "/proc/fude/x"), 1, "/proc/fude")


class Delete(HistoryCommands):
    def setUp(self):
        super().setUp()
        self.trash = self.folder / ".local" / "share" / "Trash"  # HOME is the folder
        self.pictures = [self.folder / image["path"] for image in self.draw("a cat", "--steps", "1", "--count", "3")["images"]]

    def delete(self, *arguments, **more):
        return json.loads(self.history("delete", *arguments, "--yes", "--json", **more))

    def note(self, where):
        note = where.parent.parent / "info" / (where.name + ".trashinfo")
        begin, path, date = note.read_text(encoding="ascii").splitlines()
        self.assertEqual(begin, "[Trash Info]")
        self.assertRegex(date, r"^DeletionDate=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$")
        self.assertTrue(path.startswith("Path="))
        return urllib.parse.unquote(path[5:])

    @posix
    def test_moves_to_the_trash_and_can_be_undone(self):
        before = self.pictures[1].read_bytes()
        (deleted,) = self.delete("2")
        where = pathlib.Path(deleted["trash"])
        self.assertEqual((deleted["id"], deleted["path"]), (2, str(self.pictures[1])))
        self.assertEqual(where, self.trash / "files" / self.pictures[1].name)
        self.assertEqual(where.read_bytes(), before)
        self.assertEqual(self.note(where), str(self.pictures[1]))
        self.assertFalse(self.pictures[1].exists())
        self.assertEqual(self.ids(), [3, 1])
        self.assertEqual(self.ids("--search", "cat"), [3, 1])
        database = self.database()
        database.execute("INSERT INTO prompts (prompts) VALUES ('integrity-check')")
        database.close()
        self.assert_refused(self.run_fude("history", "show", "2"), 2, "no entry 2")
        where.rename(self.pictures[1])
        (image,) = json.loads(self.run_fude("generate", "--from", self.pictures[1], "--threads", "1", "--json").out)["images"]
        self.assertEqual(png_pixels(self.folder / image["path"]), png_pixels(self.pictures[1]))
        self.assertEqual(image["id"], 4)  # no number is given twice

    @posix
    def test_names_in_the_trash_are_used_once(self):
        paths = [self.folder / folder / "a 猫 100%.png" for folder in "abc"]
        for path in paths:
            self.drawn("a cat", "-o", path)
        (self.trash / "files").mkdir(parents=True)
        (self.trash / "info").mkdir()
        (self.trash / "files" / "a 猫 100%.2.png").write_text("somebody's without a note")
        deleted = self.delete("4", "5", "6", "5")
        self.assertEqual([pathlib.Path(each["trash"]).name for each in deleted], ["a 猫 100%.png", "a 猫 100%.3.png", "a 猫 100%.4.png"])
        self.assertEqual([self.note(pathlib.Path(each["trash"])) for each in deleted], [str(path) for path in paths])
        self.assertEqual((self.trash / "files" / "a 猫 100%.2.png").read_text(), "somebody's without a note")
        self.assertEqual(len(list((self.trash / "info").iterdir())), 3)

    @posix
    def test_of_another_drive_goes_to_the_trash_there(self):
        with self.small_disk(600) as disk:
            self.drawn("a cat", "-o", disk / "pictures" / "a cat.png")
            (deleted,) = self.delete("4")
            where = pathlib.Path(deleted["trash"])
            self.assertEqual(where, disk / f".Trash-{os.getuid()}" / "files" / "a cat.png")
            self.assertEqual(self.note(where), "pictures/a cat.png")
            self.assertEqual(stat.S_IMODE((disk / f".Trash-{os.getuid()}").stat().st_mode), 0o700)
            shared = disk / ".Trash"
            shared.mkdir()
            for sticky in [False, True]:
                shared.chmod(0o1777 if sticky else 0o777)
                entry = self.drawn("a cat", "-o", disk / "b.png")["id"]
                where = pathlib.Path(self.delete(entry)[0]["trash"])
                self.assertEqual(where.parent.parent, shared / str(os.getuid()) if sticky else disk / f".Trash-{os.getuid()}")

    @posix
    def test_what_cannot_be_moved_stays(self):
        self.trash.parent.mkdir(parents=True)
        self.trash.write_text("a file")
        with self.small_disk(64) as disk:
            (disk / f".Trash-{os.getuid()}").write_text("a file")
            self.drawn("a cat", "-o", disk / "cat.png")
            outcome = self.run_fude("history", "delete", "4", "--yes")
            self.assert_refused(outcome, 1, "cat.png", "trash")
            self.assertTrue((disk / "cat.png").exists())
            self.assertEqual(self.ids(), [4, 3, 2, 1])

    def test_an_entry_whose_file_is_gone(self):
        self.pictures[0].unlink()
        self.pictures[1].unlink()
        self.pictures[1].mkdir()  # somebody's folder now
        self.assertEqual([each["trash"] for each in self.delete("1", "2")], [None, None])
        self.assertTrue(self.pictures[1].is_dir())
        self.assertEqual(self.ids(), [3])

    @posix
    def test_asks_once(self):
        outcome = self.run_fude("history", "delete", "1", "2", stdin="y\n")  # no terminal
        self.assert_refused(outcome, 2, "--yes", self.pictures[0], self.pictures[1])
        self.assert_refused(self.run_fude("history", "delete", "--yes"), 2, "number")
        self.assert_refused(self.run_fude("history", "delete", "1", "41", "--yes"), 2, "no entry 41")
        self.assertEqual(self.ids(), [3, 2, 1])
        for answer, code, left in [(b"n\n", 130, [3, 2, 1]), (b"y\n", 0, [3])]:
            leader, follower = pty.openpty()
            process = subprocess.Popen([FUDE, "history", "delete", "1", "2"], env=self.environment(), stdin=follower, stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE, text=True)
            os.write(leader, answer)
            _, errors = process.communicate(timeout=60)
            self.assertEqual(process.returncode, code, errors)
            self.assertEqual(errors.count("[y/N]"), 1, errors)
            self.assertIn("Move these 2 pictures to the trash", errors.replace("\n", " "))
            self.assertEqual(self.ids(), left)
            os.close(leader)
            os.close(follower)


class Trouble(HistoryCommands):
    def assert_draws_without_history(self, *words, count=1, **environment):
        outcome = self.generate("a cat", "--steps", "1", "--count", count, "--json", "--quiet", **environment)
        self.assertEqual(outcome.code, 0, outcome)
        images = json.loads(outcome.out)["images"]
        self.assertEqual(len(images), count)
        for image in images:
            self.assertTrue((self.folder / image["path"]).is_file())
            self.assertIsNone(image["id"])
        (warning,) = re.findall("(?m)^warning: .*$", outcome.err)
        for word in words:
            self.assertIn(str(word), warning)

    def test_several_processes_at_once(self):
        def draw(i):
            return self.generate(f"number {i}", "--count", "3", "--steps", "1", "--quiet", "--json")

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            outcomes = list(pool.map(draw, range(4)))
        self.assertEqual([(outcome.code, outcome.err) for outcome in outcomes], [(0, "")] * 4, "\n".join(map(str, outcomes)))
        ids = [image["id"] for outcome in outcomes for image in json.loads(outcome.out)["images"]]
        self.assertEqual(sorted(ids), list(range(1, 13)))
        self.assertEqual(self.ids(), list(range(12, 0, -1)))

    def test_a_history_of_a_newer_version(self):
        self.drawn("a cat")
        self.change("PRAGMA user_version = 99")
        self.assert_draws_without_history("newer version of fude", self.home, "FUDE_HOME", count=2)
        for arguments in [[], ["show", "1"], ["run", "1"], ["star", "1"], ["export"]]:
            self.assert_refused(self.run_fude("history", *arguments), 1, "newer version of fude", self.home)
        self.change("PRAGMA user_version = 1")
        self.assertEqual(self.ids(), [1])

    def test_what_is_no_history(self):
        file = self.home / "history.sqlite3"
        file.write_text("a letter to a friend\n" * 100)
        self.assert_draws_without_history("is no database", file)
        self.assert_refused(self.run_fude("history"), 1, "is no database", "Move it away")
        file.unlink()
        self.change("CREATE TABLE recipes (name TEXT)")
        self.assert_draws_without_history("another program", file)
        self.assert_refused(self.run_fude("history"), 1, "another program")

    def test_a_history_that_stops_working_is_told_once(self):
        self.drawn("a cat")
        self.change("CREATE TRIGGER refusal BEFORE INSERT ON pictures BEGIN SELECT RAISE(ABORT, 'not today'); END")
        self.assert_draws_without_history("not today", self.home, count=3)
        self.assertEqual(self.ids(), [1])

    def test_a_damaged_history(self):
        self.draw("a cat", "--steps", "1", "--count", "3")
        file = self.home / "history.sqlite3"
        data = bytearray(file.read_bytes())
        data[200:-200] = b"\xa5" * (len(data) - 400)
        file.write_bytes(data)
        self.assert_draws_without_history(file)
        self.assert_refused(self.run_fude("history"), 1, file)

    def test_a_damaged_entry(self):
        self.drawn("a cat")
        self.change("UPDATE pictures SET provenance = ?", '{"steps": "many", "seed": -1}')
        self.assert_refused(self.run_fude("history"), 1, "entry 1", "damaged")

    @posix
    def test_a_home_that_cannot_be_written(self):
        self.assert_draws_without_history("/proc/fude", "FUDE_HOME", FUDE_HOME="/proc/fude")
        (self.folder / "file").write_text("")
        self.assert_draws_without_history("file", count=2, FUDE_HOME=str(self.folder / "file"))

    def test_a_disk_that_becomes_full(self):
        with self.small_disk(600) as disk:
            home = {"FUDE_HOME": str(disk)}
            first = self.drawn("a cat", **home)
            self.assertEqual(first["id"], 1)
            with open(disk / "filler", "wb", buffering=0) as filler:
                try:
                    while True:
                        filler.write(b"x" * 4096)
                except OSError:
                    pass
            self.assert_draws_without_history("space", "FUDE_HOME", count=2, **home)
            (disk / "filler").unlink()
            self.assertEqual(self.drawn("a dog", **home)["id"], 2)
            self.assertEqual(self.ids(**home), [2, 1])

    def test_where_the_history_is(self):
        for variable, file in [("FUDE_HOME", "a/history.sqlite3"), ("XDG_DATA_HOME", "a/fude/history.sqlite3"),
                               ("HOME", "a/.local/share/fude/history.sqlite3")]:
            where = {"FUDE_HOME": "", "XDG_DATA_HOME": "", "HOME": "", variable: str(self.folder / "a")}
            self.assertEqual(self.drawn("a cat", **where)["id"], 1)
            self.assertTrue((self.folder / file).is_file(), variable)
            self.assertEqual(self.ids(**where), [1])
        self.assert_draws_without_history("FUDE_HOME", FUDE_HOME="", XDG_DATA_HOME="", HOME="")


if __name__ == "__main__":
    unittest.main()
