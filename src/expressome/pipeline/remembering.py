"""Answers given lately, so that none of them is computed twice."""

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Any, TypeVar

__all__ = ["Recent"]

Answer = TypeVar("Answer")


class Recent:
    """The latest answers, so that none of them is computed twice.

    Parameters
    ----------
    n_most
        How many are kept.

    Examples
    --------
    >>> recent = Recent(1)
    >>> recent.remember("a", lambda: 1), recent.remember("a", lambda: 2)
    (1, 1)
    >>> recent.remember("b", lambda: 3), recent.remember("a", lambda: 4)
    (3, 4)
    """

    def __init__(self, n_most: int) -> None:
        self._n_most = n_most
        self._answers: OrderedDict[Any, Any] = OrderedDict()
        self._lock = Lock()

    def remember(self, key: Any, answer: Callable[[], Answer]) -> Answer:  # noqa: ANN401
        """Give an answer again, or compute it.

        Parameters
        ----------
        key
            What was asked.
        answer
            Computes it.

        Returns
        -------
        object
            The answer.
        """
        with self._lock:
            if key in self._answers:
                self._answers.move_to_end(key)
                found: Answer = self._answers[key]
                return found
        made = answer()
        with self._lock:
            self._answers[key] = made
            while len(self._answers) > self._n_most:
                self._answers.popitem(last=False)
        return made
