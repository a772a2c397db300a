"""Long calls: callbacks, Ctrl-C, threads, processes."""

from __future__ import annotations

import fcntl
import os
import signal
import struct
import subprocess
import sys
import termios
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import crosstate
import numpy as np
import pytest
from conftest import SHORT, SMALL


def run_python(
    code: str, timeout: float = 300, directory: Path | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True,
        timeout=timeout, cwd=directory,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def test_callbacks_see_progress(xy: Any) -> None:
    seen: list[crosstate.TrainProgress] = []
    model = crosstate.Model(**SMALL).fit(*xy, callback=seen.append, epochs=3, batch=8, log_every=2)
    ends = [p for p in seen if p.epoch_end]
    assert [p.epoch for p in ends] == [1, 2, 3] and ends[-1].last
    assert len(seen) > 3 and seen[0].samples == 58 and seen[0].metric_name == "accuracy"
    assert [p.log for p in ends] == model.history
    assert model.history[0]["validation_accuracy"] is not None


def test_an_exception_of_a_callback_leaves_the_best_epoch(xy: Any) -> None:
    def callback(p: crosstate.TrainProgress) -> None:
        if p.epoch_end and p.epoch == 2:
            raise RuntimeError("enough")

    model = crosstate.Model(**SMALL)
    with pytest.raises(RuntimeError, match="enough"):
        model.fit(*xy, callback=callback, epochs=50, batch=8)
    assert model.fitted and len(model.history) == 2 and model.predict(xy[0]).shape == (64,)

    def at_once(p: crosstate.TrainProgress) -> None:
        raise KeyError("at once")

    model = crosstate.Model(**SMALL)
    with pytest.raises(KeyError):
        model.fit(*xy, callback=at_once, epochs=50, batch=8, log_every=1)
    assert not model.fitted


# Calls that would take minutes, with what has to be true after Ctrl-C. Each begins by telling that
# it runs, so that the signal comes during the work. How soon it ends is measured in processor time,
# which does not count what else the machine has to do.
LONG_CALLS = {
    "fit": (
        "model.fit(x, y, epochs=100000, batch=16, callback=tell, progress=False)",
        "model.fitted and len(model.history) >= 1 and model.predict(x[:3]).shape == (3,)",
    ),
    "qat": (
        "model.fit(x, y, epochs=1, progress=False)\n"
        "    model.qat(x, y, epochs=100000, callback=tell, progress=False)",
        "not model.quantized",
    ),
    "quantize": (
        "model.fit(x, y, epochs=1, progress=False)\n"
        "    later(0.3)\n"
        "    while True: model.quantize(x, y, loss=50, progress=False)",
        "not model.quantized",
    ),
    "prune": (
        "model.fit(x, y, epochs=1, progress=False)\n"
        "    later(1)\n"
        "    model.prune(x, y, states=0.5, qat__epochs=100000, run__quantize=False, progress=False)",
        "model.fitted",
    ),
    "simulate": (
        "small = model.fit(x, y, epochs=1, progress=False).quantize(x, y, preset='w8a8s8')\n"
        "    later(0.5)\n"
        "    crosstate.simulate(small, x, y, chips=100000, progress=False)",
        "True",
    ),
    "one chip": (
        "small = model.fit(x, y, epochs=1, progress=False).quantize(x, y, preset='w8a8s8')\n"
        "    x, y = np.tile(x, (20, 100, 1))[:1024], np.arange(1024) % 2\n"
        "    later(0.5)\n"
        "    crosstate.simulate(small, x, y, chips=1, target='pcm', progress=False)",
        "True",
    ),
    "sweep": (
        "later(1)\n    crosstate.sweep('sweep.toml', 'out', progress=False)",
        "[r['status'] for r in crosstate.sweep_records('out')] != ['done', 'done']",
    ),
    "search": (
        "later(1)\n    crosstate.search('found', population=4, candidates=1, train__epochs=100000,"
        " data__directory='.', data__task='classification', progress=False)",
        "os.path.isdir('found')",
    ),
    "search for a design": (
        "small = model.fit(x, y, epochs=1, progress=False).quantize(x, y, preset='w8a8s8')\n"
        "    later(1)\n"
        "    crosstate.search('designs', model=small, target='generic-64x64', generations=100000,"
        " technology='crossbar-14nm', arrays='64x64', data__directory='.',"
        " data__task='classification', progress=False)",
        "os.path.isfile('designs/sweep.sqlite')",
    ),
}


@pytest.mark.parametrize("name", LONG_CALLS)
def test_ctrl_c_stops_at_once(name: str, tmp_path: Path) -> None:
    call, true_after = LONG_CALLS[name]
    result = run_python(
        f"""
import os, signal, threading, time
import numpy as np
import crosstate

# A shell that runs the tests in the background has it ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
x = np.random.default_rng(0).normal(size=(512, 100, 1))
y = np.arange(512) % 2
np.savez("train.npz", x=x, y=y)
np.savez("test.npz", x=x[:64], y=y[:64])
with open("sweep.toml", "w") as file:
    file.write('[sweep]\\nname = "long"\\n[data]\\ndirectory = "."\\ntask = "classification"\\n'
               '[train]\\nepochs = 100000\\n[grid]\\nmodel.channels = [2, 4]\\n')
model = crosstate.Model(channels=8, states=8, layers=1)
sent = []
def interrupt():
    sent.append(time.process_time())
    os.kill(os.getpid(), signal.SIGINT)
def later(seconds):
    threading.Timer(seconds, interrupt).start()
started = []
def tell(p):
    if p.epoch_end and not started:
        started.append(True)
        later(0.2)
try:
    {call}
    print("ended")
except KeyboardInterrupt:
    print("interrupted", time.process_time() - sent[0] < 5, {true_after})
""", directory=tmp_path)
    assert result.stdout == "interrupted True True\n", result.stdout + result.stderr


def test_threads_call_at_once(model: crosstate.Model, rounded: crosstate.Model, xy: Any) -> None:
    expected = [model.outputs(xy[0]), rounded.outputs(xy[0], backend="integer")]
    trained = crosstate.Model(**SMALL).fit(*xy, **SHORT).outputs(xy[0])

    def call(i: int) -> bool:
        if i % 3 == 2:
            found = crosstate.Model(**SMALL).fit(*xy, threads=1 + i % 2, **SHORT).outputs(xy[0])
            return bool((found == trained).all())
        other = [model, rounded][i % 3]
        backend = ["", "integer"][i % 3]
        return bool((other.outputs(xy[0], backend=backend, threads=2) == expected[i % 3]).all())

    with ThreadPoolExecutor(6) as executor:
        assert all(executor.map(call, range(18)))


def test_other_threads_run_during_a_long_call(xy: Any) -> None:
    counted = 0
    done = threading.Event()

    def count() -> None:
        nonlocal counted
        while not done.wait(0.001):
            counted += 1

    thread = threading.Thread(target=count)
    thread.start()
    crosstate.Model(**SMALL).fit(*xy, epochs=30, batch=8)
    done.set()
    thread.join()
    assert counted > 5


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_fork_after_use_works(model: crosstate.Model, xy: Any) -> None:
    expected = model.outputs(xy[0], threads=2)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            same = (model.outputs(xy[0], threads=2) == expected).all()
            fitted = crosstate.Model(**SMALL).fit(*xy, epochs=1, batch=16, threads=2).fitted
            status = 0 if same and fitted else 2
        finally:
            os._exit(status)
    timer = threading.Timer(60, os.kill, (child, signal.SIGKILL))
    timer.start()
    _, status = os.waitpid(child, 0)
    timer.cancel()
    assert os.waitstatus_to_exitcode(status) == 0


def test_threads_are_checked(model: crosstate.Model, xy: Any) -> None:
    with pytest.raises(crosstate.Error, match="threads = -1, expected a whole number from 0 to 1024"):
        model.predict(xy[0], threads=-1)


def test_import_loads_only_what_it_needs() -> None:
    result = run_python(
        """
        import sys
        import crosstate
        late = {"asyncio", "crosstate.plot", "crosstate.sklearn", "crosstate.torch", "matplotlib", "onnx",
                "pandas", "sklearn", "sqlite3", "torch"}
        print(*sorted(late & sys.modules.keys()))
        """
    )
    assert result.stdout.split() == []


def test_progress_in_a_terminal(xy: Any, capsys: Any) -> None:
    crosstate.Model(**SMALL).fit(*xy, progress=True, **SHORT)
    lines = capsys.readouterr().err.splitlines()
    assert any(line.startswith("float 2/2 |####################| 100% loss") for line in lines)
    crosstate.Model(**SMALL).fit(*xy, **SHORT)
    assert capsys.readouterr().err == ""


class Terminal:
    """Standard error of a terminal with so many columns."""

    def __init__(self, columns: int) -> None:
        self.terminal, self.program = os.openpty()
        fcntl.ioctl(self.program, termios.TIOCSWINSZ, struct.pack("4H", 24, columns, 0, 0))
        self.written = ""

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return self.program

    def write(self, text: str) -> None:
        self.written += text

    def flush(self) -> None: ...

    def close(self) -> None:
        os.close(self.terminal)
        os.close(self.program)


@pytest.mark.parametrize("columns", [200, 80, 40])
def test_the_last_line_of_progress_remains(xy: Any, monkeypatch: Any, columns: int) -> None:
    with closing(Terminal(columns)) as stderr:
        monkeypatch.setattr(sys, "stderr", stderr)
        model = crosstate.Model(**SMALL).fit(*xy, progress=True, **SHORT)
        shown = stderr.written.split("\r\x1b[K")
        # A line that fills the terminal would wrap, and the next one would not replace it.
        assert max(map(len, shown)) <= columns and len(shown) > 3
        bar = "|####################| " if columns == 200 else ""
        assert shown[-1].startswith(f"float 2/2 {bar}100% loss")
        assert shown[-1].endswith("\n") and stderr.written.count("\n") == 1
        assert (" left" in shown[-1], "/s]" in shown[-1]) == (columns > 40, columns == 200)
        stderr.written = ""
        model.quantize(*xy, preset="w8a8s8", progress=True)
        assert stderr.written.endswith("\r\x1b[K")  # stages come and go
        monkeypatch.undo()


@pytest.mark.parametrize("stderr", ["None", "open(os.devnull)", "closed"])
def test_progress_without_a_console(stderr: str) -> None:
    """Programs of pythonw have no standard error; others close it."""
    result = run_python(
        f"""
        import os, sys, numpy as np, crosstate
        closed = open(os.devnull, "w")
        closed.close()
        sys.stderr = {stderr if stderr != "open(os.devnull)" else "open(os.devnull, 'w')"}
        x, y = np.random.default_rng(0).normal(size=(32, 8)), np.arange(32) % 2
        model = crosstate.Model(channels=2, states=2, layers=1)
        model.fit(x, y, epochs=1, batch=8, progress=True)
        small = model.quantize(x, y, preset="w8a8s8", progress=True)
        print(len(crosstate.simulate(small, x, y, chips=1, times="0", progress=True)))
        """
    )
    assert result.stdout == "1\n", result.stdout + result.stderr


def test_notes_are_warnings() -> None:
    sounds = [np.zeros(4000, np.float32) + 0.1 * k for k in range(8)]
    data = crosstate.Data.recordings(
        sounds, list("abababab"), 4000, validation=(sounds[:2], ["a", "b"])
    )
    with pytest.warns(crosstate.Note, match="the recordings in memory: train.validation has no"):
        crosstate.Model(**SMALL).fit(data, epochs=1, batch=4, train__validation=0.2)
    with pytest.warns(crosstate.Note) as warned:
        crosstate.train(data, train__epochs=1, train__batch=4, run__quantize=False,
                        train__validation=0.2, **{f"model__{key}": SMALL[key] for key in SMALL})
    assert {one.filename for one in warned} == {__file__}
