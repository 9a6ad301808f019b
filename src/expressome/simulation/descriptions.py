"""Describe simulated samples in the fields that ARCHS4 takes from GEO."""

import zlib
from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
import pandas as pd

from expressome.simulation.design import Design
from expressome.simulation.effects import StudyEffects
from expressome.simulation.materials import Material

__all__ = ["describe_samples"]

_PLATFORMS = ("GPL11154", "GPL16791", "GPL18573", "GPL20301", "GPL24676")
_TREATMENTS = ("dexamethasone", "TGF-beta", "interferon gamma", "knockdown", "high glucose")
_FIRST_DAY = date(2013, 1, 1)


def describe_samples(
    design: Design,
    studies: Sequence[StudyEffects],
    drawn: pd.DataFrame,
    *,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Write titles, characteristics and technical fields.

    The words are as uneven as submitters': a study names the tissue in the
    source, in the characteristics or in both, and sex and age in some only.

    Parameters
    ----------
    design
        Studies and labels.
    studies
        Effects of each study.
    drawn
        Columns ``depth``, ``is_single_cell``, ``is_male``, ``is_treated``,
        index sample id.
    rng
        Source of randomness.

    Returns
    -------
    DataFrame
        Index sample id; columns under canonical names, and others under
        ARCHS4's own. Every title and every description says "simulated".
    """
    n_samples = len(design.samples)
    study = design.samples["study"].to_numpy()
    day = rng.integers(0, 4000, len(studies))
    platform = rng.integers(0, len(_PLATFORMS), len(studies))
    age = rng.integers(18, 85, n_samples)
    materials = [design.materials[k] for k in design.samples["material"]]
    wording = _Wording([zlib.crc32(name.encode()) for name in design.series])
    rows = list(zip(study, materials, drawn.itertuples(index=False), age, strict=True))
    probability = np.where(
        drawn["is_single_cell"], rng.beta(8, 2, n_samples), rng.beta(1, 25, n_samples)
    )
    aligned = np.round(drawn["depth"].to_numpy())
    dates = [(_FIRST_DAY + timedelta(days=int(d))).strftime("%b %d %Y") for d in day]
    return pd.DataFrame(
        {
            "series": [design.series[s] for s in study],
            "title": [wording.title(*row[:3], number=i + 1) for i, row in enumerate(rows)],
            "source": [wording.source(s, m) for s, m, _, _ in rows],
            "characteristics": [wording.characteristics(*row[:3], age=row[3]) for row in rows],
            "platform": [_PLATFORMS[platform[s]] for s in study],
            "aligned_reads": aligned,
            "single_cell_probability": probability,
            "submission_date": [dates[s] for s in study],
            "library_source": ["transcriptomic"] * n_samples,
            "molecule_ch1": [wording.molecule(s) for s in study],
            "data_processing": ["simulated counts; no sequencing took place"] * n_samples,
        },
        index=design.samples.index,
    )


class _Wording:
    """How each study words its samples; `codes` is one number per study."""

    def __init__(self, codes: Sequence[int]) -> None:
        self._codes = codes

    def title(self, s: int, material: Material, sample: tuple[bool, ...], *, number: int) -> str:
        """Name a sample: material, condition, number."""
        state = f", {self._treatment(s)}" if self._is_treated(sample) else ""
        return f"Simulated {material.label}{state}, sample {number}"

    def source(self, s: int, material: Material) -> str:
        """Name the source; a third of the studies stay vague."""
        if self._codes[s] % 3 == 0:
            return "cultured cells" if material.kind == "cell line" else "biopsy"
        return f"{material.label} cells" if material.kind == "cell line" else material.label

    def characteristics(
        self, s: int, material: Material, sample: tuple[bool, ...], *, age: int
    ) -> str:
        """List characteristics as GEO does: comma-separated `name: value`."""
        parts = [f"{material.kind}: {material.label}"]
        if material.kind == "tissue":
            parts += [f"Sex: {'male' if sample[2] else 'female'}"] * (self._codes[s] % 2)
            parts += [f"age: {age}"] * (self._codes[s] % 5 < 2)
        treatment = self._treatment(s) if self._is_treated(sample) else "none"
        return ",".join([*parts, f"treatment: {treatment}"])

    def molecule(self, s: int) -> str:
        """Say what was sequenced."""
        return "total RNA" if self._codes[s] % 4 else "polyA RNA"

    def _treatment(self, s: int) -> str:
        return _TREATMENTS[self._codes[s] % len(_TREATMENTS)]

    @staticmethod
    def _is_treated(sample: tuple[bool, ...]) -> bool:
        return bool(sample[3])
