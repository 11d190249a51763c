"""Speech by eSpeak NG, in a process of its own: `python -m apps.speech.espeak`.

The synthesiser keeps state from one utterance to the next and draws random numbers. A fresh process
with a seed of its own says the same requests in the same way, and ends alone if the library fails.
"""

from __future__ import annotations

import ctypes
import io
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from apps.errors import UserError, nearest

_ROOT = os.fspath(Path(__file__).parents[2])
# Of espeak/speak_lib.h.
_SYNCHRONOUS, _UTF_8 = 2, 1
_RATE, _PITCH, _RANGE = 1, 3, 4


class Utterance(NamedTuple):
    """What is to be said, and how.

    Attributes:
        text: in the language of the voice.
        voice: an accent, and after a plus sign a variant.
        words_per_minute: speed, 175 as a rule.
        pitch: from 0 to 99, 50 as a rule.
        melody: range of the pitch, from 0 to 99, 50 as a rule.
    """

    text: str
    voice: str
    words_per_minute: int = 175
    pitch: int = 50
    melody: int = 50


def accents(language: str) -> list[str]:
    """The voices of a language, such as `en`: its own and those of regions.

    Raises:
        UserError: there is no such language.
        OSError: the synthesiser is not installed.
    """
    folder = _data() / "lang"
    names = sorted(file.name for file in folder.rglob("*") if file.is_file())
    wanted = language.lower()
    found = [name for name in names if f"{name.lower()}-".startswith(f"{wanted}-")]
    if not wanted or not found:
        near = nearest(language, names)
        raise UserError(f"language={language}: eSpeak NG has none{near}; give a code such as en")
    return found


def variants() -> list[str]:
    """Names of the manners in which every voice can speak: men, women, hoarse, soft, …"""
    folder = _data() / "voices" / "!v"
    return sorted(file.name for file in folder.iterdir())


def said(utterances: Sequence[Utterance]) -> dict[str, np.ndarray]:
    """Utterances as sound.

    Returns:
        `samples` `(samples,)` int16, all of them end to end; `offsets` `(utterances + 1,)` int64;
        `rate` `()` in Hz.

    Raises:
        OSError: the process failed.
    """
    path = os.pathsep.join(filter(None, [_ROOT, os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, "-P", "-m", "apps.speech.espeak"],
        input=json.dumps(utterances).encode(),
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        check=False,
    )
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise OSError(lines[-1] if lines else f"exit code {done.returncode}")
    with np.load(io.BytesIO(done.stdout), allow_pickle=False) as arrays:
        return dict(arrays)


def _data() -> Path:
    """The folder of languages and voices; who leaves voices out needs no synthesiser."""
    try:
        import espeakng_loader
    except ImportError:
        raise OSError("espeakng-loader is not installed") from None
    return Path(espeakng_loader.get_data_path())


def _main() -> None:
    import espeakng_loader

    library = ctypes.CDLL(espeakng_loader.get_library_path())
    rate = library.espeak_Initialize(_SYNCHRONOUS, 0, os.fsencode(_data()), 0)
    library.espeak_ng_SetRandSeed(ctypes.c_long(0))
    parts: list[np.ndarray] = []
    ends = [0]

    def heard(wave: ctypes._Pointer[ctypes.c_short], count: int, _events: int) -> int:
        if wave and count > 0:
            parts.append(np.ctypeslib.as_array(wave, (count,)).astype(np.int16))
        return 0

    kinds = (ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
    callback = ctypes.CFUNCTYPE(*kinds)(heard)
    library.espeak_SetSynthCallback(callback)
    for text, voice, *values in json.load(sys.stdin):
        if library.espeak_SetVoiceByName(voice.encode()):
            raise SystemExit(f"eSpeak NG has no voice '{voice}'")
        for parameter, value in zip((_RATE, _PITCH, _RANGE), values, strict=True):
            library.espeak_SetParameter(parameter, value, 0)
        said_before, written = len(parts), text.encode() + b"\0"
        library.espeak_Synth(written, len(written), 0, 0, 0, _UTF_8, None, None)
        library.espeak_Synchronize()
        ends.append(ends[-1] + sum(map(len, parts[said_before:])))
    samples = np.concatenate([np.zeros(0, np.int16), *parts])
    sound = {"samples": samples, "offsets": np.array(ends, np.int64), "rate": np.array(rate)}
    np.savez(sys.stdout.buffer, allow_pickle=False, **sound)


if __name__ == "__main__":
    _main()
