#!/usr/bin/env python3
"""The binary interface of libfude.so.0: it exports what fude/c.h declares, and its types are those of the committed description.

    tests/c/abi_test.py build/test/src/libfude.so            # 77: abidiff (Debian's abigail-tools) is not here
    tests/c/abi_test.py build/test/src/libfude.so --renew    # writes the description; a change that breaks programs needs a new SOVERSION
"""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent.parent
HEADER = REPOSITORY / "include" / "fude" / "c.h"
DESCRIPTION = REPOSITORY / "tests" / "c" / "libfude.abi"


def exported(library):
    lines = subprocess.run(["nm", "--dynamic", "--defined-only", library], check=True, capture_output=True, text=True).stdout.splitlines()
    return {line.split()[-1] for line in lines if not line.endswith(" A FUDE_0")}


def declared():
    return set(re.findall(r"^FUDE_API .*?\b(fude_\w+)\(", HEADER.read_text(encoding="utf-8"), re.MULTILINE))


def main():
    library = sys.argv[1]
    wanted = {f"{name}@@FUDE_0" for name in declared()}
    if exported(library) != wanted:
        print("exported and not declared, or declared and not exported:", sorted(exported(library) ^ wanted))
        return 1
    if not shutil.which("abidiff"):
        print("abidiff is not installed: types are not compared")
        return 77
    described = subprocess.run(["abidw", "--headers-dir", str(HEADER.parent), "--drop-private-types", "--exported-interfaces-only", "--drop-undefined-syms",
                                "--no-corpus-path", "--no-comp-dir-path", "--no-show-locs", "--no-elf-needed", library], check=True,
                               capture_output=True, text=True).stdout
    if sys.argv[2:] == ["--renew"]:
        DESCRIPTION.write_text(described, encoding="utf-8")
    with tempfile.NamedTemporaryFile("w", suffix=".abi") as now:
        now.write(described)
        now.flush()
        return subprocess.run(["abidiff", str(DESCRIPTION), now.name], check=False).returncode


sys.exit(main())
