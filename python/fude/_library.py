"""The shared library: where it is, its functions as its header declares them, and its failures as exceptions."""

from __future__ import annotations

import ctypes
import json
import os
import pathlib
import re
import sys
from collections.abc import Callable
from typing import Any

_HERE = pathlib.Path(__file__).resolve().parent
_CODES = ["ok", "bad_request", "out_of_memory", "bad_checkpoint", "device", "io", "non_finite", "cancelled", "internal"]
_NUMBERS = {"size_t": ctypes.c_size_t, "int32_t": ctypes.c_int32, "fude_code": ctypes.c_int32, "int64_t": ctypes.c_int64, "uint64_t": ctypes.c_uint64}


class Error(RuntimeError):
    """What fude could not do.

    code: "bad_request", "out_of_memory", "bad_checkpoint", "device", "io", "non_finite", "cancelled" or "internal".
    field: whose value is wrong ("steps"), or "".
    details: where it failed and what may help, as docs/errors.md describes; {} where nothing is known.
    """

    def __init__(self, text: str, code: str = "bad_request", field: str = "", details: dict[str, Any] | None = None) -> None:
        super().__init__(text)
        self.code = code
        self.field = field
        self.details = details or {}


class Progress(ctypes.Structure):
    _fields_ = [("stage", ctypes.c_char_p), ("picture", ctypes.c_int64), ("pictures", ctypes.c_int64), ("step", ctypes.c_int64), ("steps", ctypes.c_int64)]


class Preview(ctypes.Structure):
    _fields_ = [("at", Progress), ("width", ctypes.c_int64), ("height", ctypes.c_int64), ("rgb", ctypes.c_void_p)]


PROGRESS = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.POINTER(Progress))
PREVIEW = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.POINTER(Preview))
FINISHED = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)
STEP = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.POINTER(Progress), ctypes.c_float, ctypes.POINTER(ctypes.c_float), ctypes.POINTER(ctypes.c_int64))
WARNING = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p)
LOG = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int64, ctypes.c_double)


class Callbacks(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("user", ctypes.c_void_p), ("progress", PROGRESS), ("preview", PREVIEW), ("preview_every", ctypes.c_int64),
                ("finished", FINISHED), ("warning", WARNING), ("step", STEP), ("stop", ctypes.c_void_p)]


def _type_of(declared: str) -> Any:
    if re.fullmatch(r"const char\s*\*\s*\w*", declared):
        return ctypes.c_char_p
    word = declared.split()[0]
    return _NUMBERS[word] if word in _NUMBERS and "*" not in declared and "[" not in declared else ctypes.c_void_p


def _declare(library: ctypes.CDLL, header: str) -> None:
    for result, name, parameters in re.findall(r"^FUDE_API ([\w ]+?[ *]+)(fude_\w+)\(([^)]*)\);", header, re.MULTILINE):
        function = getattr(library, name)
        function.restype = None if result.strip() == "void" else _type_of(result.strip())
        function.argtypes = [] if parameters == "void" else [_type_of(" ".join(each.split())) for each in parameters.split(",")]


def _opened() -> ctypes.CDLL:
    name = "fude.dll" if sys.platform == "win32" else "libfude.so.0"
    own = _HERE / "lib" / name
    library = ctypes.CDLL(os.environ.get("FUDE_LIBRARY") or (str(own) if own.exists() else name))
    header = _HERE / "lib" / "c.h"
    if not header.exists():  # in a clone
        header = _HERE.parent.parent / "include" / "fude" / "c.h"
    _declare(library, header.read_text(encoding="utf-8"))
    return library


library = _opened()


def call(name: str, *arguments: Any) -> None:
    """Calls a function that may fail; raises Error where it did."""
    error = ctypes.c_void_p()
    code = getattr(library, name)(*arguments, ctypes.byref(error))
    if code == 0:
        return
    details: dict[str, Any] = json.loads(library.fude_error_json(error) or b"null") or {}
    text = (library.fude_error_text(error) or b"").decode()
    field = (library.fude_error_field(error) or b"").decode()
    library.fude_error_free(error)
    raise Error(text or "there is not enough memory", _CODES[code], field, details)


def made(name: str, *arguments: Any) -> ctypes.c_void_p:
    """What such a function makes, its last argument but the error."""
    handle = ctypes.c_void_p()
    call(name, *arguments, ctypes.byref(handle))
    return handle


def text(name: str, *arguments: Any) -> str:
    handle = made(name, *arguments)
    try:
        return (ctypes.cast(handle, ctypes.c_char_p).value or b"").decode()
    finally:
        library.fude_text_free(handle)


class Handle:
    """One that is freed with its last user, in the process that made it. Given to a call as it is, it lives until that returns."""

    def __init__(self, pointer: ctypes.c_void_p, free: str) -> None:
        self._as_parameter_ = pointer
        self._free = getattr(library, free)
        self.pid = os.getpid()

    def __del__(self, getpid: Callable[[], int] = os.getpid) -> None:  # modules may be gone by then
        if getattr(self, "pid", None) == getpid():
            self._free(self)
