"""Write where a command spends its time, for a profile viewer."""

import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType

__all__ = ["start_profile"]

# 200 looks a second cost below one hundredth of the time that is measured.
_INTERVAL_S = 0.005
# A thread whose innermost frame is here waits for others.
_WAITING = ("threading.py", "queue.py", "selectors.py", "concurrent/futures/thread.py")


def start_profile(path: Path) -> Callable[[], None]:
    """Begin to profile this process.

    Parameters
    ----------
    path
        File to write at the end. ``.prof``: calls of the main thread, as
        `cProfile` counts them (pstats, snakeviz). Anything else: samples of the
        stacks of all threads, one line per stack with its count (flamegraph.pl,
        speedscope, inferno).

    Returns
    -------
    Callable
        Ends the profile and writes the file.
    """
    if path.suffix == ".prof":
        import cProfile

        profile = cProfile.Profile()
        profile.enable()

        def write_calls() -> None:
            profile.disable()
            profile.dump_stats(path)

        return write_calls
    sampler = _Sampler()
    sampler.start()

    def write_stacks() -> None:
        sampler.stop()
        lines = [f"{stack} {n}" for stack, n in sorted(sampler.stacks.items())]
        path.write_text("\n".join([*lines, ""]), encoding="utf-8")

    return write_stacks


class _Sampler(threading.Thread):
    """Look at the stacks of all other threads, again and again."""

    def __init__(self) -> None:
        super().__init__(name="expressome-profile", daemon=True)
        self.stacks: Counter[str] = Counter()
        self._stopped = threading.Event()

    def run(self) -> None:
        while not self._stopped.wait(_INTERVAL_S):
            names = {thread.ident: thread.name for thread in threading.enumerate()}
            for identity, frame in sys._current_frames().items():
                if identity != self.ident and not _is_waiting(frame):
                    # Threads of one pool are one: their names differ by a number.
                    name = names.get(identity, "thread").rstrip("0123456789_-")
                    self.stacks[";".join([name, *_name_frames(frame)])] += 1

    def stop(self) -> None:
        self._stopped.set()
        self.join()


def _is_waiting(frame: FrameType) -> bool:
    return Path(frame.f_code.co_filename).as_posix().endswith(_WAITING)


def _name_frames(frame: FrameType | None) -> list[str]:
    """Name the functions of a stack, outermost first."""
    names = []
    while frame is not None:
        module = frame.f_globals.get("__name__", "?")
        names.append(f"{module}.{frame.f_code.co_qualname}:{frame.f_lineno}".replace(";", ","))
        frame = frame.f_back
    return names[::-1]
