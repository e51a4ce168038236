#!/usr/bin/env python3
"""The two commands on machines that are not here: what their tools would say is made up. Standard library only."""

import os
import pathlib
import shutil
import stat
import subprocess
import tempfile
import unittest

from support import PATIENCE, REPOSITORY

# Of a system, besides what tells one from another.
TOOLS = ["cat", "date", "dirname", "head", "id", "ln", "mkdir", "sed", "sh", "tr"]
NVIDIA_SMI = "echo '{capability}, {driver}.65.06, NVIDIA GeForce RTX 4060'"
NVCC = "echo 'Cuda compilation tools, release {release}, V{release}.88'"
DPKG_QUERY = "printf installed"
# Builds a program that draws.
CMAKE = """echo "cmake $*" >> log
case "$1" in --build) mkdir -p build/$3; printf '#!/bin/sh\\necho outputs/picture.png\\n' > build/$3/fude; chmod +x build/$3/fude ;; esac
"""


class Machine(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="fude scripts ")).resolve()  # a path with a space
        self.addCleanup(shutil.rmtree, self.folder)
        shutil.copytree(REPOSITORY / "scripts", self.folder / "scripts")
        self.bin = self.folder / "bin"
        self.bin.mkdir()
        for tool in TOOLS + ["chmod"]:
            (self.bin / tool).symlink_to(shutil.which(tool))

    def has(self, **tools):
        for name, text in tools.items():
            path = self.bin / name.replace("_", "-")
            path.write_text(f"#!/bin/sh\n{text}\n")
            path.chmod(path.stat().st_mode | stat.S_IEXEC)

    def run_script(self, name, *arguments, code=0):
        environment = {"PATH": str(self.bin), "CUDA_HOME": "/nowhere", "LC_ALL": "C.UTF-8"}
        done = subprocess.run([self.folder / "scripts" / name, *arguments], cwd=self.folder, env=environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=PATIENCE)
        self.assertEqual(done.returncode, code, done)
        return done

    def log(self):
        return (self.folder / "log").read_text() if (self.folder / "log").exists() else ""


class Packages(Machine):
    def test_debian_gets_what_is_missing(self):
        self.has(apt_get='echo "apt-get $*" >> log', sudo='exec "$@"', env='shift; exec "$@"',
                 dpkg_query='case "$*" in *libdnnl-dev) ;; *) printf installed ;; esac')
        self.assertIn("libdnnl-dev", self.run_script("install-packages", "build").stderr)
        self.assertRegex(self.log(), "apt-get install .* libdnnl-dev\n$")
        self.assertNotIn("cmake", self.log())

    def test_fedora_and_arch_are_told(self):
        for tools, words in [({"dnf": "false", "rpm": 'case "$*" in *onednn-devel) exit 1 ;; esac'}, ["dnf install 'onednn-devel'"]),
                             ({"pacman": 'case "$*" in *onednn) echo onednn; exit 127 ;; esac'}, ["pacman -S onednn"])]:
            with self.subTest(words=words):
                self.has(**tools)
                for script in ["quickstart", "test"]:
                    said = self.run_script(script, code=1).stderr
                    for word in words:
                        self.assertIn(word, said)
                    self.assertNotIn("cmake", said)  # which is there
                for tool in tools:
                    (self.bin / tool).unlink()

    def test_others_are_told_and_go_on(self):
        self.has(cmake=CMAKE)
        done = self.run_script("quickstart")
        for name in ["libdnnl-dev", "onednn-devel", "libutf8proc", "pkgconfig(OpenCL)"]:
            self.assertIn(name, done.stderr)
        self.assertIn("cmake --preset release", self.log())


class Quickstart(Machine):
    def setUp(self):
        super().setUp()
        self.has(apt_get="exit 1", dpkg_query=DPKG_QUERY, cmake=CMAKE)

    def has_card(self, capability="8.9", driver="580"):
        self.has(nvidia_smi=NVIDIA_SMI.format(capability=capability, driver=driver))

    def assert_builds(self, preset):
        done = self.run_script("quickstart")
        self.assertIn(f"cmake --preset {preset}", self.log())
        self.assertIn(f"cmake --build --preset {preset} --target fude", self.log())
        *_, last = done.stdout.splitlines()
        self.assertEqual(last, f'export PATH="{self.folder}/build/{preset}:$PATH"')
        found = subprocess.run(["sh", "-c", last + "; command -v fude"], stdout=subprocess.PIPE, text=True)
        self.assertEqual(found.stdout.strip(), f"{self.folder}/build/{preset}/fude")
        return done.stderr

    def test_without_a_card(self):
        self.assertNotIn("NVIDIA", self.assert_builds("release"))
        self.has(nvidia_smi="echo NVIDIA-SMI has failed; exit 9")
        self.assertNotIn("nvcc", self.assert_builds("release"))

    def test_with_a_card_and_its_compiler(self):
        self.has(nvcc=NVCC.format(release="13.0"))
        for capability, architecture in [("8.9", "89-real"), ("9.0", "90a-real"), ("12.0", "120-real")]:
            self.has_card(capability)
            self.assert_builds("cuda")
            self.assertIn(f"-DCMAKE_CUDA_COMPILER={self.bin}/nvcc -DCMAKE_CUDA_ARCHITECTURES={architecture}\n", self.log())

    def test_with_a_card_whose_compiler_is_missing_or_old(self):
        self.has_card()
        said = self.assert_builds("release")
        for word in ["--nvcc-from-pypi", "nvidia-cuda-nvcc", "nvidia-nvvm", "nvidia-cuda-crt"]:
            self.assertIn(word, said)
        self.has(nvcc=NVCC.format(release="12.4"))
        self.assertIn("is of CUDA 12.4", self.assert_builds("release"))
        self.has(nvcc=NVCC.format(release="12.8"))
        self.assert_builds("cuda")

    def has_pypi(self, folder, place):
        self.has(python3=f"""mkdir -p build/{folder}/bin {place}
echo 'mkdir -p {place}/bin; : > {place}/bin/{folder}; chmod +x {place}/bin/{folder}; echo "pip $*" >> log' > build/{folder}/bin/pip
chmod +x build/{folder}/bin/pip""")

    def test_with_a_compiler_from_pypi(self):
        self.has_card()
        place = "build/nvcc/lib/python3.13/site-packages/nvidia/cu13"
        self.has_pypi("nvcc", place)
        (self.folder / place / "bin").mkdir(parents=True)
        for _ in range(2):  # it is got once
            self.run_script("quickstart", "--nvcc-from-pypi", "a cat")
            self.assertIn(f"cmake --preset cuda -DCMAKE_CUDA_COMPILER={self.folder}/{place}/bin/nvcc", self.log())
        self.assertEqual(self.log().count("pip install"), 1)

    def test_an_older_driver_gets_an_older_assembler(self):
        self.has_pypi("ptxas", "build/ptxas/lib/python3.13/site-packages/nvidia/cuda_nvcc")
        for release, driver, times in [("13.0", "580", 0), ("12.9", "525", 0), ("13.0", "576", 1), ("13.0", "576", 1)]:
            self.has(nvcc=NVCC.format(release=release))
            self.has_card(driver=driver)
            self.assert_builds("cuda")
            self.assertEqual(self.log().count("pip install"), times, (release, driver))

    def test_with_a_card_that_fude_does_not_draw_on(self):
        self.has(nvcc=NVCC.format(release="13.0"))
        self.has_card(capability="6.1")
        self.assertIn("older", self.assert_builds("release"))
        self.has_card(driver="470")
        self.assertIn("525", self.assert_builds("release"))


if __name__ == "__main__":
    unittest.main()
