#!/usr/bin/env python3
"""What `cmake --install` leaves, moved to another place: the program with its model, and the library as the README uses it.

    FUDE_BUILD=build/test python3 tests/app/install_test.py
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

from support import MODEL, PATIENCE, REPOSITORY, CommandLine, png_texts

BUILD = pathlib.Path(os.environ.get("FUDE_BUILD", REPOSITORY / "build" / "test"))
CMAKE = os.environ.get("CMAKE", "cmake")


def done(*command, **more):
    process = subprocess.run([str(each) for each in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=PATIENCE, **more)
    if process.returncode != 0:
        raise AssertionError(f"{command} failed:\n{process.stdout}")
    return process.stdout


class Installed(CommandLine):
    @classmethod
    def setUpClass(cls):
        cls.place = pathlib.Path(tempfile.mkdtemp(prefix="fude_install_")).resolve()
        cls.addClassCleanup(shutil.rmtree, cls.place, ignore_errors=True)
        done(CMAKE, "--install", BUILD, "--prefix", cls.place / "first")
        cls.prefix = cls.place / "home" / ".local"
        cls.prefix.parent.mkdir()
        (cls.place / "first").rename(cls.prefix)
        cls.program = cls.prefix / "bin" / "fude"

    def call(self, *arguments, before=(), **environment):
        environment = self.environment(FUDE_MODEL="", **environment)
        return done(*before, self.program, *arguments, env=environment, cwd=self.folder)

    def demo(self, **more):
        return json.loads(self.call("doctor", "--json", **more))["models"]["demo"]

    def draws(self, **more):
        (path,) = self.call("generate", "a bright park", "-W", "192", "-H", "192", "--steps", "1", "--quiet", **more).split()
        return json.loads(png_texts(self.folder / path)["fude"])["prompt"] == "a bright park"

    def test_the_model_is_the_one_beside_the_program(self):
        self.assertTrue(pathlib.Path(self.demo()).is_relative_to(self.prefix), self.demo())
        link = self.folder / "fude"
        link.symlink_to(self.program)
        self.assertIn(str(self.prefix), done(link, "doctor", env=self.environment(COLUMNS="1000")).replace("\n" + " " * 14, ""))

    def test_draws_where_the_clone_is_gone(self):
        hide = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"]),
                "sh", "-c", 'mount -t tmpfs none "$0" && exec "$@"', REPOSITORY / "models"]
        if subprocess.run([*map(str, hide), "true"], stderr=subprocess.DEVNULL).returncode != 0:
            self.skipTest("nothing can be hidden here: no right to mount")
        self.assertTrue(self.draws(before=hide))

    def test_what_a_person_keeps_may_be_deleted(self):
        own = self.prefix / "share" / "fude"  # where fude keeps its own files for a person who installed it into ~/.local
        home = {"FUDE_HOME": "", "XDG_DATA_HOME": "", "HOME": str(self.prefix.parent)}
        self.assertTrue(self.draws(**home))
        self.assertTrue((own / "history.sqlite3").exists())
        shutil.rmtree(own)
        self.assertTrue(pathlib.Path(self.demo(**home)).is_relative_to(self.prefix))

    def test_each_header_compiles_alone(self):
        headers = sorted((self.prefix / "include" / "fude").iterdir())
        self.assertIn("fude.h", [header.name for header in headers])
        self.assertTrue(all(header.suffix == ".h" for header in headers), headers)
        compiler = os.environ.get("CMAKE_CXX_COMPILER") or "c++"
        for header in headers:
            source = self.folder / "alone.cpp"
            source.write_text(f"#include <fude/{header.name}>\n#include <fude/{header.name}>\n")
            done(compiler, "-std=c++20", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-I", self.prefix / "include", source)

    def test_one_version_stands_everywhere(self):
        text = (self.prefix / "include" / "fude" / "version.h").read_text(encoding="utf-8")
        version = re.search(r'FUDE_VERSION "(.*)"', text)[1]
        numbers = [re.search(rf"FUDE_VERSION_{part} (\d+)", text)[1] for part in ["MAJOR", "MINOR", "PATCH"]]
        self.assertEqual(".".join(numbers), version)
        self.assertEqual(self.call("--version").splitlines()[0], f"fude {version}")
        self.assertRegex((REPOSITORY / "CMakeLists.txt").read_text(encoding="utf-8"), rf"project\(fude VERSION {re.escape(version)} ")

    def test_the_c_example_builds_against_it(self):
        (folder,) = self.prefix.rglob("pkgconfig")
        flags = done("pkg-config", "--cflags", "--libs", "fude", env={**os.environ, "PKG_CONFIG_PATH": str(folder)}).split()
        sanitizers = os.environ.get("CMAKE_CXX_FLAGS", "").split()
        done("cc", "-std=c11", *sanitizers, REPOSITORY / "examples" / "draw.c", *flags, "-o", self.folder / "draw")
        told = done(self.folder / "draw", MODEL, self.folder / "c.png", "prompt=a red bicycle", "steps=1",
                    env=self.environment(LD_LIBRARY_PATH=str(folder.parent)))
        self.assertIn('"prompt":"a red bicycle"', told)
        self.assertEqual(json.loads(png_texts(self.folder / "c.png")["fude"])["steps"], 1)

    def test_the_readme_builds_against_it(self):
        section = (REPOSITORY / "README.md").read_text(encoding="utf-8").partition("\n## The library\n")[2]
        lists, code = (re.search(rf"```{language}\n(.*?)```", section, re.DOTALL)[1] for language in ["cmake", "cpp"])
        code = code.replace("path/to/stable-diffusion-3.5-medium", str(MODEL))
        includes, body = "".join(re.findall(r"#include.*\n", code)), re.sub(r"#include.*\n", "", code)
        source = self.folder / "source"
        source.mkdir()
        (source / "main.cpp").write_text(f"{includes}int main() {{\n{body}return result.images.size() == 1 ? 0 : 1;\n}}\n")
        (source / "CMakeLists.txt").write_text("cmake_minimum_required(VERSION 3.25)\nproject(somebody LANGUAGES CXX)\n"
                                               f"add_executable(my_program main.cpp)\n{lists}")
        flags = [f"-D{name}={os.environ[name]}" for name in ["CMAKE_CXX_COMPILER", "CMAKE_CXX_FLAGS"] if os.environ.get(name)]
        done(CMAKE, "-S", source, "-B", self.folder / "build", f"-DCMAKE_PREFIX_PATH={self.prefix}", *flags)
        done(CMAKE, "--build", self.folder / "build")
        done(self.folder / "build" / "my_program", env=self.environment())


if __name__ == "__main__":
    unittest.main()
