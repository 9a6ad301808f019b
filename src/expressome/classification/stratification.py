"""Assign studies to parts so that every label is shared out as asked."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from expressome.errors import InvalidValueError

__all__ = ["Demand", "assign_studies"]

# A label that no training study carries cannot be learned at all, one that no test study
# carries cannot be scored: both weigh more than any imbalance, which is below 2 per label.
ABSENT_TRAINING = 100.0
ABSENT_TEST = 6.0
ABSENT_VALIDATION = 3.0

# Orders tried from scratch: many where studies are few and each decides much.
_N_STEPS = 20_000
_MAX_RESTARTS = 24
_MAX_SWEEPS = 30
# Up to this many studies, pairs are exchanged too: quadratic, but there it matters.
_MAX_EXCHANGED = 64


@dataclass(frozen=True, slots=True)
class Demand:
    """What each part should receive.

    Attributes
    ----------
    fractions
        Share of every label and of all samples, shape (n_parts,), sums to 1.
    absent_costs
        Cost of a label that no study of the part carries, shape (n_parts,).
    minimum_studies
        The cost applies to labels carried by at least this many studies,
        shape (n_parts,).
    """

    fractions: NDArray[np.float64]
    absent_costs: NDArray[np.float64]
    minimum_studies: NDArray[np.int64]


class _Ledger:
    """Running totals per label and part; the last row is the number of samples."""

    def __init__(
        self, amounts: sparse.csr_array, sizes: NDArray[np.int64], demand: Demand, *, n_free: int
    ) -> None:
        """Prepare the rows each study touches; few free studies may exchange places."""
        n_studies, n_labels = amounts.shape
        self.n_parts = demand.fractions.size
        self.fractions = demand.fractions
        totals = np.asarray(amounts.sum(axis=0)).ravel()
        n_carriers = np.bincount(amounts.indices, minlength=n_labels)
        self.totals = np.append(np.maximum(totals, 1), max(1, int(sizes.sum()))).astype(float)
        costs = np.where(n_carriers[:, None] >= demand.minimum_studies, demand.absent_costs, 0.0)
        self.absent = np.vstack([costs, np.zeros(self.n_parts)])
        self.weights = np.append(np.where(n_carriers > 1, 1.0, 0.0), max(1.0, 0.25 * n_labels))
        pointers = amounts.indptr
        # Whole rows, for the few studies that exchange places.
        self.whole: NDArray[np.float64] | None = None
        if n_free <= _MAX_EXCHANGED:
            self.whole = np.column_stack([amounts.toarray(), sizes]).astype(float)
        self.rows = [
            np.append(amounts.indices[pointers[s] : pointers[s + 1]], n_labels)
            for s in range(n_studies)
        ]
        self.amounts = [
            np.append(amounts.data[pointers[s] : pointers[s + 1]], sizes[s]).astype(float)
            for s in range(n_studies)
        ]
        self.clear()

    def clear(self) -> None:
        """Empty every part."""
        self.held = np.zeros((self.totals.size, self.n_parts))
        self.carriers = np.zeros((self.totals.size, self.n_parts), np.int64)

    def add(self, study: int, part: int, sign: int = 1) -> None:
        """Put a study into a part, or take it out."""
        self.held[self.rows[study], part] += sign * self.amounts[study]
        self.carriers[self.rows[study], part] += sign

    def costs_of(self, study: int) -> NDArray[np.float64]:
        """Give the cost of the touched rows for each part the study could join."""
        rows = self.rows[study]
        unit = np.eye(self.n_parts)
        held = self.held[rows][:, None, :] + self.amounts[study][:, None, None] * unit
        carriers = self.carriers[rows][:, None, :] + unit
        return np.asarray(self._cost(rows, held, carriers).sum(axis=0))

    def total_cost(self) -> float:
        """Give the cost of all rows as they are."""
        rows = np.arange(self.totals.size)
        return float(self._cost(rows, self.held[:, None, :], self.carriers[:, None, :]).sum())

    def exchange_gains(
        self, first: int, others: NDArray[np.int64], parts: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Say by how much the cost falls if a study changes places with each of others."""
        if self.whole is None:
            msg = f"only up to {_MAX_EXCHANGED} studies exchange places"
            raise InvalidValueError(msg)
        here, there = np.full(len(others), parts[first]), parts[others]
        samples = self.whole[others] - self.whole[first]
        carriers = (self.whole[others] > 0).astype(np.int64) - (self.whole[first] > 0)
        gain = np.zeros(len(others))
        for part, sign in ((here, 1), (there, -1)):
            gain += self._part_cost(part, self.held.T[part], self.carriers.T[part])
            gain -= self._part_cost(
                part,
                self.held.T[part] + sign * samples,
                self.carriers.T[part] + sign * carriers,
            )
        return gain

    def _part_cost(
        self,
        part: NDArray[np.int64],
        held: NDArray[np.float64],
        carriers: NDArray[np.int64],
    ) -> NDArray[np.float64]:
        """Give the cost of one part per row of the arguments, over all labels."""
        imbalance = (held / self.totals - self.fractions[part][:, None]) ** 2
        absence = (carriers == 0) * self.absent.T[part]
        return np.asarray(imbalance @ self.weights + absence.sum(axis=1))

    def _cost(
        self, rows: NDArray[np.integer], held: NDArray[np.float64], carriers: NDArray[np.number]
    ) -> NDArray[np.float64]:
        shares = held / self.totals[rows][:, None, None]
        imbalance = ((shares - self.fractions) ** 2).sum(axis=2) * self.weights[rows][:, None]
        absence = ((carriers == 0) * self.absent[rows][:, None, :]).sum(axis=2)
        return np.asarray(imbalance + absence)


def assign_studies(
    amounts: sparse.csr_array,
    sizes: NDArray[np.int64],
    *,
    demand: Demand,
    fixed: NDArray[np.int64],
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Put each study into one part, close to the demanded share of every label.

    The rarest labels are placed first, each study where it lowers the cost
    most; then single studies move, and few studies exchange places, while that
    helps; the best of several random orders is kept. Cost: squared distance of
    each label's shares from the demand, plus the cost of absent labels.

    Parameters
    ----------
    amounts
        Samples of each label in each study, sparse, shape (n_studies, n_labels).
    sizes
        Samples of each study, shape (n_studies,).
    demand
        Shares and costs per part.
    fixed
        Part a study must join, -1 where it is free, shape (n_studies,).
    rng
        Draws the orders.

    Returns
    -------
    ndarray
        Part of each study, shape (n_studies,).

    Notes
    -----
    Time grows with studies x labels per study. The optimum is not guaranteed:
    sharing out groups is a packing problem.

    References
    ----------
    Sechidis, Tsoumakas, Vlahavas 2011, doi:10.1007/978-3-642-23808-6_10
    (rarest label first; there without groups, and without the second phase).

    Examples
    --------
    >>> amounts = sparse.csr_array(np.array([[5], [1], [4]]))
    >>> demand = Demand(np.array([0.5, 0.5]), np.zeros(2), np.ones(2, int))
    >>> parts = assign_studies(amounts, np.array([5, 1, 4]), demand=demand,
    ...                        fixed=np.array([0, -1, -1]), rng=np.random.default_rng(0))
    >>> parts.tolist()
    [0, 1, 1]
    """
    n_studies = amounts.shape[0]
    ledger = _Ledger(amounts, sizes, demand, n_free=int((fixed < 0).sum()))
    rarity = _rarity(amounts)
    n_restarts = int(np.clip(_N_STEPS // max(1, n_studies), 2, _MAX_RESTARTS))
    best: tuple[float, NDArray[np.int64]] | None = None
    for attempt in range(n_restarts):
        noise = rng.random(n_studies) if attempt else np.zeros(n_studies)
        order = np.lexsort((-sizes * (1 + noise), rarity + 2 * noise))
        parts = _assign_greedily(ledger, fixed, order)
        _improve(ledger, parts, fixed=fixed, rng=rng)
        cost = ledger.total_cost()
        if best is None or cost < best[0] - 1e-12:
            best = (cost, parts)
    return best[1] if best is not None else np.zeros(0, np.int64)


def _rarity(amounts: sparse.csr_array) -> NDArray[np.float64]:
    """Give the fewest studies that carry any label of each study."""
    n_studies, n_labels = amounts.shape
    n_carriers = np.bincount(amounts.indices, minlength=n_labels)
    rarity = np.full(n_studies, float(n_studies))
    owner = np.repeat(np.arange(n_studies), np.diff(amounts.indptr))
    np.minimum.at(rarity, owner, n_carriers[amounts.indices].astype(float))
    return rarity


def _assign_greedily(
    ledger: _Ledger, fixed: NDArray[np.int64], order: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Place fixed studies, then each other where it costs least."""
    ledger.clear()
    parts = fixed.copy()
    for study in np.flatnonzero(fixed >= 0):
        ledger.add(int(study), int(fixed[study]))
    for study in order[fixed[order] < 0]:
        parts[study] = int(ledger.costs_of(int(study)).argmin())
        ledger.add(int(study), int(parts[study]))
    return parts


def _improve(
    ledger: _Ledger,
    parts: NDArray[np.int64],
    *,
    fixed: NDArray[np.int64],
    rng: np.random.Generator,
) -> None:
    """Move single studies, and exchange pairs of few, while the cost falls."""
    free = np.flatnonzero(fixed < 0)
    for _ in range(_MAX_SWEEPS):
        if _move(ledger, parts, rng.permutation(free)):
            continue
        if ledger.whole is None or not _exchange(ledger, parts, rng.permutation(free)):
            return


def _move(ledger: _Ledger, parts: NDArray[np.int64], order: NDArray[np.int64]) -> bool:
    """Move each study where it costs least; say whether any moved."""
    has_moved = False
    for study in order.tolist():
        ledger.add(study, int(parts[study]), -1)
        costs = ledger.costs_of(study)
        if costs.min() < costs[parts[study]] - 1e-12:
            parts[study] = int(costs.argmin())
            has_moved = True
        ledger.add(study, int(parts[study]))
    return has_moved


def _exchange(ledger: _Ledger, parts: NDArray[np.int64], order: NDArray[np.int64]) -> bool:
    """Exchange the first pair of studies that lowers the cost; say whether one did."""
    for place, first in enumerate(order.tolist()):
        others = order[place + 1 :]
        others = others[parts[others] != parts[first]]
        gains = ledger.exchange_gains(first, others, parts)
        better = np.flatnonzero(gains > 1e-12)
        if better.size:
            _swap(ledger, parts, first, int(others[better[0]]))
            return True
    return False


def _swap(ledger: _Ledger, parts: NDArray[np.int64], *studies: int) -> None:
    first, second = studies
    for study in studies:
        ledger.add(study, int(parts[study]), -1)
    parts[first], parts[second] = parts[second], parts[first]
    for study in studies:
        ledger.add(study, int(parts[study]))
