"""Install the wheel into clean environments, one per extra, and do small real work in each.

    python -m scripts.check_environments                  # all extras
    python -m scripts.check_environments --extras none    # what everybody gets
    python -m scripts.check_environments --extras none --python python3.13 --newest

Nothing is compiled: only ready-made wheels may be installed. Each environment does the whole job
that its extras allow, and must say of every extra that is missing how to get it.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EXTRAS = ("none", "fast", "report", "explore", "cluster", "accel", "gan")
WORK = ROOT / "scripts" / "environment_work.py"


def run(words, **options):
    """Run a program; show what it said if it fails."""
    done = subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, check=False, **options
    )
    if done.returncode:
        sys.exit(f"{' '.join(map(str, words))}\n{done.stdout[-4000:]}\n{done.stderr[-6000:]}")
    return done.stdout


def build_wheel(folder):
    """Build the wheel, and see that any system can use it."""
    run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", folder, ROOT])
    (wheel,) = folder.glob("expressome-*.whl")
    if not wheel.name.endswith("-py3-none-any.whl"):
        sys.exit(f"{wheel.name} is not a wheel in pure Python")
    return wheel


def make_environment(folder, interpreter):
    """Create an empty environment of an interpreter; give its python. Our pip installs into it."""
    run([interpreter or sys.executable, "-m", "venv", "--clear", "--without-pip", folder])
    binaries = "Scripts" if os.name == "nt" else "bin"
    return folder / binaries / "python"


def processor_s():
    """Give the processor time of all programs run so far, where the system tells it."""
    spent = os.times()
    return spent.children_user + spent.children_system


def check(extra, wheel, folder, *, interpreter, newest):
    """Install the wheel with one extra and work with it; give figures."""
    start_s, start_processor_s = time.perf_counter(), processor_s()
    python = make_environment(folder / extra, interpreter)
    what = f"{wheel}" if extra == "none" else f"{wheel}[{extra}]"
    pinned = [] if newest else ["--constraint", ROOT / "constraints.txt"]
    pip = [sys.executable, "-m", "pip", "--python", python]
    run(
        [*pip, "install", "--quiet", "--no-compile", "--only-binary", ":all:", *pinned, what],
        env={**os.environ, "CC": "false", "CXX": "false"},
    )
    installed_s = time.perf_counter() - start_s
    size = sum(file.stat().st_size for file in (folder / extra).rglob("*") if not file.is_symlink())
    scratch = folder / f"work-{extra}"
    scratch.mkdir()
    # -I: neither this folder nor the variables of this shell reach the environment.
    said = run([python, "-I", WORK, extra, scratch], cwd=scratch)
    shutil.rmtree(folder / extra)
    worked_s = time.perf_counter() - start_s - installed_s
    spent_s = processor_s() - start_processor_s
    return (size / 1e6, installed_s, worked_s, spent_s), said.strip().splitlines()[-1]


def main():
    """Check the environments that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--extras", nargs="+", choices=EXTRAS, default=EXTRAS)
    parser.add_argument("--python", help="another interpreter, such as python3.13")
    parser.add_argument(
        "--newest", action="store_true", help="newest versions, not constraints.txt"
    )
    options = parser.parse_args()
    print(
        f"{'extra':8} {'size':>9} {'install':>9} {'work':>8} {'processor':>9}  result", flush=True
    )
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        wheel = build_wheel(folder)
        for extra in options.extras:
            figures, said = check(
                extra, wheel, folder, interpreter=options.python, newest=options.newest
            )
            size, *seconds = figures
            installed, worked, spent = (f"{number:.0f} s" for number in seconds)
            print(
                f"{extra:8} {size:6.0f} MB {installed:>9} {worked:>8} {spent:>9}  {said}",
                flush=True,
            )


if __name__ == "__main__":
    main()
