"""Adds the licences of bundled libraries to a wheel: add_licences.py WHEEL DIRECTORY.

Writes the wheel to the directory. Every library in crosstate.libs/ comes from a package of the
system, whose file of copyrights is added, and whose exact version is listed in
licenses/bundled/README: the corresponding source is that version of the source package.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def package_of(name):
    """The installed package with this shared library, for the architecture of this system: others may
    be installed beside it."""
    native = output("dpkg", "--print-architecture").strip()
    paths = {line.split()[-1] for line in output("/sbin/ldconfig", "-p").splitlines()
             if line.split() and line.split()[0] == name}
    for path in sorted(paths):
        for candidate in (path, str(Path(path).resolve()), path.removeprefix("/usr")):
            found = subprocess.run(["dpkg-query", "-S", candidate], capture_output=True, text=True)
            if found.returncode == 0:
                package, _, architecture = found.stdout.split(": ")[0].partition(":")
                if architecture in ("", native):
                    return package, f"{package}:{native}" if architecture else package
    sys.exit(f"add_licences: no package of the system has {name}, expected one with its licence")


def main():
    wheel, directory = Path(sys.argv[1]), Path(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        output(sys.executable, "-m", "wheel", "unpack", "--dest", folder, str(wheel))
        (content,) = Path(folder).iterdir()
        (info,) = content.glob("*.dist-info")
        place = info / "licenses" / "bundled"
        place.mkdir(parents=True)
        lines = ["Shared libraries in crosstate.libs/, which are used unchanged and can be replaced:",
                 ""]
        for library in sorted((content / "crosstate.libs").iterdir()):
            # auditwheel adds a hash: libsndfile-1ab2c3d4.so.1.0.35
            name = re.sub(r"-[0-9a-f]{8}(?=\.so)", "", library.name)
            soname = re.match(r".*\.so(\.\d+)?", name).group(0)
            package, exact = package_of(soname)
            version, source = output(
                "dpkg-query", "-W", "-f=${Version} ${source:Package}", exact).split()
            (place / f"{package}.txt").write_bytes(
                Path(f"/usr/share/doc/{package}/copyright").read_bytes())
            lines.append(f"{library.name}: package {package} {version}, source package {source}, "
                         f"licence in {package}.txt")
        (place / "README").write_text("\n".join(lines) + "\n")
        output(sys.executable, "-m", "wheel", "pack", "--dest-dir", str(directory), str(content))


if __name__ == "__main__":
    main()
