"""What the tests of the program share: how it is run, and how what it writes is read. Standard library only."""

import contextlib
import datetime
import json
import os
import pathlib
import re
import shutil
import struct
import subprocess
import tempfile
import unittest
import zlib

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent.parent
FIXTURES = REPOSITORY / "tests" / "fixtures"
FUDE = os.environ.get("FUDE", str(REPOSITORY / "build" / "test" / "fude"))
MODEL = FIXTURES / "dual"
PATIENCE = 600  # seconds after which a program hangs, on the busiest machine
WINDOWS = os.environ.get("FUDE_SYSTEM") == "windows"  # the program is one for Windows, under Wine (tests/windows.py)
posix = unittest.skipIf(WINDOWS, "POSIX alone has this")
SMALL = ["--width", "64", "--height", "64", "--steps", "2", "--threads", "1"]

# stable-diffusion-webui, modules/infotext_utils.py
A1111_PARAMETER = re.compile(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')


def png_chunks(path):
    """Kind and body of each, in order; every checksum is verified."""
    data = pathlib.Path(path).read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at = 8
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        (crc,) = struct.unpack(">I", data[at + 8 + length : at + 12 + length])
        assert crc == zlib.crc32(kind + body)
        yield kind, body
        at += 12 + length


def png_pixels(path):
    """The header and the rows as they are filtered: equal for equal pixels that one program wrote."""
    chunks = list(png_chunks(path))
    return chunks[0][1], zlib.decompress(b"".join(body for kind, body in chunks if kind == b"IDAT"))


def png_texts(path):
    texts = {}
    for kind, body in png_chunks(path):
        if kind == b"tEXt":
            keyword, text = body.split(b"\0", 1)
            texts[keyword.decode("latin-1")] = text.decode("latin-1")
        elif kind == b"iTXt":
            keyword, _, text = body.partition(b"\0")
            assert text[:2] == b"\0\0"
            texts[keyword.decode("latin-1")] = text[2:].split(b"\0", 2)[2].decode("utf-8")
    return texts


def a1111_parameters(text):
    *lines, last = text.strip().split("\n")
    fields = A1111_PARAMETER.findall(last)
    assert len(fields) >= 3
    unquoted = {name: json.loads(value) if value[:1] == '"' else value for name, value in fields}
    return lines, unquoted


def write_png(path, texts):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    chunks = [chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))]
    chunks += [chunk(b"tEXt", keyword.encode() + b"\0" + text.encode("latin-1")) for keyword, text in texts.items()]
    chunks += [chunk(b"IDAT", zlib.compress(b"\0\0\0\0")), chunk(b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))


def undated(path):
    """With DAY for the day it is, or for the one that may have been over since."""
    for day in [datetime.date.today(), datetime.date.today() - datetime.timedelta(days=1)]:
        path = str(path).replace(day.isoformat(), "DAY")
    return path


def neutral(text):
    """Paths as POSIX writes them, in JSON as in sentences: what is expected is written so."""
    if not WINDOWS:
        return text
    def in_value(value):
        if isinstance(value, str):
            return in_text(value)
        if isinstance(value, list):
            return [in_value(each) for each in value]
        return {key: in_value(each) for key, each in value.items()} if isinstance(value, dict) else value

    def in_text(words):
        return re.sub(r"(?<!\w)[A-Za-z]:(?=[\\/])", "", words).replace("\\", "/")
    try:
        return json.dumps(in_value(json.loads(text)), indent=2, ensure_ascii=False) + "\n"
    except json.JSONDecodeError:
        return in_text(text)


class Outcome:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, neutral(out), neutral(err)

    def __str__(self):
        return f"exit code {self.code}\n--- standard output\n{self.out}\n--- standard error\n{self.err}"


class CommandLine(unittest.TestCase):
    def setUp(self):
        self.folder, self.home = (self.made_folder(purpose) for purpose in ["test", "home"])

    def made_folder(self, purpose):
        folder = pathlib.Path(tempfile.mkdtemp(prefix=f"fude_cli_{purpose}_"))
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        return folder

    def environment(self, **changes):
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("FUDE", "HF_"))}
        return {**kept, "FUDE_MODEL": str(MODEL), "FUDE_HOME": str(self.home), "HOME": str(self.folder), "LC_ALL": "C.UTF-8",
                "TERM": "xterm", **changes}

    def run_fude(self, *arguments, stdin=None, stdout=subprocess.PIPE, **environment):
        done = subprocess.run([FUDE, *map(str, arguments)], cwd=self.folder, env=self.environment(**environment), input=stdin,
                              stdout=stdout, stderr=subprocess.PIPE, encoding="utf-8", timeout=PATIENCE)
        return Outcome(done.returncode, done.stdout, done.stderr)

    def generate(self, *arguments, **more):
        return self.run_fude("generate", *SMALL, *arguments, **more)

    def draw(self, *arguments, **more):
        """Draws and gives the JSON document."""
        outcome = self.generate("--json", *arguments, **more)
        self.assertEqual(outcome.code, 0, outcome)
        return json.loads(outcome.out)

    def assert_refused(self, outcome, code, *words):
        self.assertEqual(outcome.code, code, outcome)
        self.assertEqual(outcome.out, "", outcome)
        self.assertTrue(outcome.err.startswith("error: "), outcome)
        for word in words:
            self.assertIn(str(word), outcome.err)

    def files(self):
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file())

    @contextlib.contextmanager
    def small_disk(self, kib):
        if WINDOWS:
            self.skipTest("small disks are mounted on Linux alone")
        disk = self.folder / "disk"
        disk.mkdir()
        mounted = os.geteuid() == 0 and subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", str(disk)],
                                                       stderr=subprocess.DEVNULL).returncode == 0
        if not mounted:
            self.skipTest("cannot mount a small disk here")
        try:
            yield disk
        finally:
            subprocess.run(["umount", str(disk)], check=True)
