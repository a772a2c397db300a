"""Runs an installed wheel: check_wheel.py [PROGRAM]. Needs nothing but the package and NumPy."""

import os
import subprocess
import sys
import tempfile
import time

# Processor time, which does not depend on what else the machine does.
start = time.process_time()
import crosstate  # noqa: E402

seconds = time.process_time() - start

import numpy as np  # noqa: E402

# Everything that is bundled: compute, SQLite, libsndfile, the data files, the program.
y = np.arange(64) % 2
x = np.sin((0.3 + 1.2 * y[:, None]) * np.arange(24))
model = crosstate.Model(channels=4, states=4, layers=1).fit(x, y, epochs=2, batch=16, progress=False)
small = model.quantize(x, y, preset="w8a8s8", progress=False)
records = crosstate.simulate(small, x, y, target="taox-64x64", chips=2, progress=False)
assert len(records) == 2
with tempfile.TemporaryDirectory() as folder:
    small.save(os.path.join(folder, "small.safetensors"))
    program = sys.argv[1:2] or [sys.executable, "-m", "crosstate"]
    info = subprocess.run([*program, "info", os.path.join(folder, "small.safetensors")],
                          check=True, capture_output=True, text=True).stdout
    assert "1 layers of 4 channels" in info, info
if os.path.exists("/proc/self/maps"):
    with open("/proc/self/maps") as maps:
        loaded = {line.split()[-1] for line in maps if ".so" in line}
    for path in loaded:
        outside = "crosstate.libs" not in path
        assert not (outside and any(n in path for n in ("sndfile", "sqlite3.so", "libhwy"))), path
print(f"crosstate {crosstate.__version__}: {seconds:.3f} s of import with NumPy "
      f"{np.__version__}, Python {sys.version.split()[0]}")
assert seconds < 0.3, "slow import"
