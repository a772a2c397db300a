"""Long calls: callbacks, Ctrl-C, threads, processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import crosstate
import numpy as np
import pytest
from conftest import SHORT, SMALL


def run_python(code: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True,
        timeout=timeout,
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


def test_ctrl_c_stops_at_once_with_the_best_epoch() -> None:
    result = run_python(
        """
        import os, signal, threading, time
        import numpy as np
        import crosstate

        x = np.random.default_rng(0).normal(size=(512, 200, 1))
        y = np.arange(512) % 2
        model = crosstate.Model(channels=8, states=8, layers=1)
        sent = []
        def callback(p):
            if p.epoch_end and not sent:
                sent.append(time.monotonic())
                threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            model.fit(x, y, epochs=1000, batch=16, callback=callback, progress=False)
        except KeyboardInterrupt:
            print("interrupted", time.monotonic() - sent[0] < 5, model.fitted, len(model.history) >= 1)
            print(model.predict(x[:3]).shape)
        """
    )
    assert result.stdout.split("\n")[:2] == ["interrupted True True True", "(3,)"], result.stderr


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
    with pytest.raises(crosstate.Error, match="-1 is out of range"):
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


def test_notes_are_warnings() -> None:
    sounds = [np.zeros(4000, np.float32) + 0.1 * k for k in range(8)]
    data = crosstate.Data.recordings(
        sounds, list("abababab"), 4000, validation=(sounds[:2], ["a", "b"])
    )
    with pytest.warns(crosstate.Note, match="the recordings in memory: train.validation has no"):
        crosstate.Model(**SMALL).fit(data, epochs=1, batch=4, train__validation=0.2)
