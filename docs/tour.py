"""A tour of the package: `make tour`, or `python docs/tour.py`; docs/tour.md tells of it."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import subprocess
import sys
import time
import webbrowser
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # the packages lie beside this folder, and need not be installed

from apps.errors import UserError  # noqa: E402
from apps.process import Parser, run_command  # noqa: E402
from docs.tour_steps import SERVE, SOURCES, STATE, STEPS, Tour, better  # noqa: E402


def environment() -> dict[str, str]:
    """That of the commands: the packages are found from any folder."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"}


def run_step(words: Sequence[str], out: Path) -> None:
    """Run a command in a process of its own and show what it says.

    Args:
        words: after the name of Python.
        out: gets what the command prints; `out` with `.log` gets what it says of its progress.

    Raises:
        UserError: it has failed; holds the command's own line.
        KeyboardInterrupt: the command was interrupted too and has ended.
    """
    last = ""
    with out.open("w") as answers, out.with_suffix(".log").open("a") as log:
        process = subprocess.Popen(
            [sys.executable, *words],
            stdout=answers,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env=environment(),
            start_new_session=True,  # Ctrl-C is passed on once, by what follows
        )
        assert process.stderr is not None
        try:
            for line in process.stderr:
                if not line.strip() or "%|" in line:
                    continue
                last = line.rstrip()
                log.write(f"{last}\n")
                if not last.startswith("error: "):
                    say(f"    {last}")
            process.wait()
        except KeyboardInterrupt:
            _end(process)
            raise
    if process.returncode:
        raise UserError(last.removeprefix("error: ") or f"exit code {process.returncode}")


def _end(process: subprocess.Popen[str]) -> None:
    """Have a command stop where it can go on from; a second Ctrl-C ends it at once."""
    try:
        os.killpg(process.pid, signal.SIGINT)
        process.communicate()
    except KeyboardInterrupt:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def say(line: str) -> None:
    """Print a line of progress."""
    print(line, flush=True)


def walk(tour: Tour) -> None:
    """Go through the steps that are left."""
    from docs.tour_serving import ask, served

    steps, done = tour.steps, tour.state["done"]
    for number, (application, step) in enumerate(steps, 1):
        name = f"{application} {step}".strip()
        if name in done:
            continue
        left = sum(tour.seconds(*one) for one in steps[number - 1 :]) / 60
        gone = sum(one["seconds"] for one in done.values()) / 60
        title = f"{application}: {STEPS[step][0]}" if application else "serve all and ask each"
        say(f"\n[{number} of {len(steps)}; {gone:.1f} min gone, about {left:.1f} left] {title}")
        words, started = tour.words(application, step), time.monotonic()
        command = shlex.join([_python(), *words])
        say(f"$ {command}")
        if step == SERVE:
            with served(words, tour.folder / "serve.log", environment(), say):
                for one, source in tour.sources.items():
                    ask(source, tour.version(one), tuple(tour.state["ports"]), say)
        else:
            begun = (tour.folder / application / f"{step}.out").exists()
            goes_on = ["--resume"] if begun and step in ("train", "tune") else []
            run_step([*words, *goes_on], tour.folder / application / f"{step}.out")
        seconds = round(time.monotonic() - started, 1)
        say(f"    {seconds:.0f} s")
        done[name] = {"seconds": seconds, "command": command}
        tour.keep()


def _python() -> str:
    """Python's path as it is typed here."""
    near = os.path.relpath(sys.executable)
    return sys.executable if near.startswith("..") else near


def begin(options: argparse.Namespace) -> Tour:
    """The tour of a command line, its sources read; or one that was begun before."""
    from docs.tour_serving import free_ports

    folder = Path(options.folder or f"runs/tour-{datetime.now():%Y%m%d-%H%M%S}")
    if options.resume:
        if not options.folder:
            raise UserError("--resume: name the folder of the tour with --folder DIR")
        for option in (*SOURCES.values(), *(f"{name}_columns" for name in SOURCES.values())):
            if vars(options)[option] is not None:
                told = option.replace("_", "-")
                raise UserError(f"--{told}: a tour goes on with the sources it began with")
        try:
            state = json.loads((folder / STATE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise UserError(f"{folder}: holds no tour to go on with; leave --resume out") from None
        if SERVE not in state["done"]:
            state["ports"] = free_ports()
        return Tour(folder, state)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder}: is not empty; go on with it by --resume, or name another")
    if not 0 < options.minutes < 1e6:
        raise UserError(f"--minutes {options.minutes:g}: give a positive number")
    names = options.only.split(",") if options.only else list(SOURCES)
    if unknown := [name for name in names if name not in SOURCES]:
        raise UserError(f"--only {unknown[0]}: not on the tour; known: {', '.join(SOURCES)}")
    wanted = {name: (vars(options)[SOURCES[name]] or "sample") for name in names}
    columns = {name: vars(options)[f"{SOURCES[name]}_columns"] or "" for name in names}
    from docs.tour_sources import prepare

    sources = prepare({name: (wanted[name], columns[name]) for name in names}, folder)
    state = {"minutes": options.minutes, "ports": free_ports(), "done": {}}
    tour = Tour(folder, {"sources": [asdict(one) for one in sources], **state})
    tour.keep()
    return tour


def _run(options: argparse.Namespace) -> None:
    from docs.tour_page import write_page

    tour = begin(options)
    again = shlex.join([_python(), os.path.relpath(__file__), "--folder", str(tour.folder)])
    options.after_interrupt = f"; go on with {again} --resume"
    walk(tour)
    best = {name: better(tour.folder / name) for name in tour.sources}
    page = write_page(tour.folder, tour.sources, best, tour.state["done"])
    say(f"\n{page}")
    shown = any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
    if shown or sys.platform in ("darwin", "win32") if options.open is None else options.open:
        webbrowser.open(page.resolve().as_uri())


def main(arguments: Sequence[str] | None = None) -> int:
    """Walk through the tour.

    Returns:
        0 done, 2 an input or a step is at fault, 130 interrupted with everything to resume on disk.
    """
    parser = Parser(prog="tour", description=(__doc__ or "").split(":")[0])
    for name, option in SOURCES.items():
        parser.add_argument(f"--{option}", metavar="SRC", help=f"of {name}; its sample by default")
        parser.add_argument(f"--{option}-columns", metavar="NAME=COLUMN,…")
    parser.add_argument("--only", metavar="APP,…", help="some of the applications")
    parser.add_argument("--minutes", type=float, default=10.0, metavar="M", help="of all; 10")
    parser.add_argument("--folder", metavar="DIR", help="runs/tour-TIME by default")
    parser.add_argument("--resume", action="store_true", help="go on with the tour in --folder")
    parser.add_argument(
        "--open", action=argparse.BooleanOptionalAction, help="the page; where there is a display"
    )
    parser.set_defaults(run_command=_run, needs_tensorflow=True)
    return run_command(parser.parse_args(arguments))


def _interrupted(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupted)
    sys.exit(main())
