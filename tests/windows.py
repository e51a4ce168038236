#!/usr/bin/env python3
"""Runs the test programs for Windows and the tests of the command line under Wine, and prints a table. Standard library only.

    tests/windows.py build/windows [WORD…]: those whose names contain a word
"""

import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

TESTS = pathlib.Path(__file__).resolve().parent
WINE = TESTS.parent / "scripts" / "wine"
OF_LINUX = {"browser", "install", "scripts"}  # what is tested there has no part of Windows


def run_program(program):
    """Passed, skipped, failed, and what was printed."""
    with tempfile.TemporaryDirectory(prefix="fude_wine_") as folder:
        report = pathlib.Path(folder) / "report.json"
        done = subprocess.run([WINE, program, "--gtest_output=json:report.json"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              encoding="utf-8", errors="replace")
        if not report.exists():
            return 0, 0, 1, done.stdout + f"\nended with {done.returncode}, without a report"
        cases = [case for suite in json.loads(report.read_text())["testsuites"] for case in suite["testsuite"]]
    failed = sum("failures" in case for case in cases)
    skipped = sum(case["result"] == "SKIPPED" for case in cases)
    if done.returncode != 0 and failed == 0:
        failed = 1
    return len(cases) - failed - skipped, skipped, failed, done.stdout


def run_script(script, fude):
    of_linux = [program for program in TESTS.parent.glob("build/*/fude") if program != fude]
    environment = {**os.environ, "FUDE": str(fude), "FUDE_SYSTEM": "windows", "FUDE_OF_LINUX": str(next(iter(of_linux), ""))}
    done = subprocess.run([sys.executable, script], env=environment, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, encoding="utf-8", errors="replace")
    ran = re.search(r"(?m)^Ran (\d+) tests?", done.stdout)
    if not ran:
        return 0, 0, 1, done.stdout
    counts = {kind: int(count) for kind, count in re.findall(r"(failures|errors|skipped)=(\d+)", done.stdout.splitlines()[-1])}
    failed = counts.get("failures", 0) + counts.get("errors", 0)
    skipped = counts.get("skipped", 0)
    return int(ran[1]) - failed - skipped, skipped, failed, done.stdout


def main():
    build, *words = sys.argv[1:]
    build = pathlib.Path(build).resolve()
    fude = build / "fude"
    fude.write_text(f'#!/bin/sh\nexec "{WINE}" "{build / "fude.exe"}" "$@"\n')
    fude.chmod(0o755)
    jobs = {}
    for program in sorted(build.glob("*_tests.exe")):
        jobs[program.stem] = lambda program=program: run_program(program)
    for script in sorted((TESTS / "app").glob("*_test.py")):
        name = script.stem.removesuffix("_test")
        if name not in OF_LINUX:
            jobs[f"{name} (command line)"] = lambda script=script: run_script(script, fude)
    jobs = {name: job for name, job in jobs.items() if not words or any(word in name for word in words)}
    subprocess.run([WINE, "winecfg", "-v", "win10"], stderr=subprocess.DEVNULL, check=True)

    def timed(job):
        begin = time.monotonic()
        return *job(), time.monotonic() - begin

    print(f"{'under Wine':28}{'passed':>8}{'skipped':>9}{'failed':>8}{'seconds':>9}", flush=True)
    broken = {}
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = {name: pool.submit(timed, job) for name, job in jobs.items()}
        for name, result in results.items():
            passed, skipped, failed, text, seconds = result.result()
            print(f"{name:28}{passed:8}{skipped:9}{failed:8}{seconds:9.0f}", flush=True)
            if failed:
                broken[name] = text
    for name, text in broken.items():
        print(f"\n--- {name}\n{text}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
