#!/usr/bin/env python3
"""Builds the wheel, installs it into a fresh environment, and runs the package's tests there.

    FUDE_BUILD=build/test python3 tests/python/wheel_test.py    # 77: Python has no numpy or no venv

The environment sees the packages of the Python that runs this (numpy; Pillow, tqdm, torch and mypy where they are), and fude only from
the wheel.
"""

import importlib.util
import os
import pathlib
import subprocess
import sys
import tempfile

SYSTEM = "/usr/bin/python3"
REPOSITORY = pathlib.Path(__file__).resolve().parent.parent.parent


def main():
    missing = [name for name in ("numpy", "ensurepip", "tomllib") if not importlib.util.find_spec(name)]
    if missing and sys.executable != SYSTEM and os.path.exists(SYSTEM):  # for which the distribution's packages are
        os.execv(SYSTEM, [SYSTEM, *sys.argv])
    if missing:
        print(sys.executable, "has no", *missing)
        return 77
    with tempfile.TemporaryDirectory(prefix="fude_wheel_") as folder:
        place = pathlib.Path(folder)
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("FUDE", "HF_", "PYTHON"))}

        def run(*command, **more):
            subprocess.run([str(each) for each in command], check=True, env=environment, **more)

        run(sys.executable, REPOSITORY / "scripts" / "dist" / "python", "--build", os.environ["FUDE_BUILD"], "--out", place / "dist")
        (wheel,) = (place / "dist").iterdir()
        run(sys.executable, "-m", "venv", "--system-site-packages", place / "venv")
        python = place / "venv" / "bin" / "python"
        # What the environment of an environment does not hand on.
        site = next((place / "venv" / "lib").iterdir()) / "site-packages"
        (site / "beneath.pth").write_text("\n".join(path for path in sys.path if path.endswith("-packages")))
        run(python, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", wheel)
        for test in sorted(pathlib.Path(__file__).parent.glob("*_tests.py")):
            run(python, test, cwd=place)
        if importlib.util.find_spec("mypy"):
            run(python, "-m", "mypy", "--config-file", REPOSITORY / "python" / "pyproject.toml", "--cache-dir", place / "mypy", "-p", "fude", cwd=place)
    return 0


sys.exit(main())
