"""What a simulated sample can be made of: tissues and cell lines, by real profile."""

from dataclasses import dataclass

__all__ = ["CONTAMINANTS", "MATERIALS", "Material", "choose_materials"]


@dataclass(frozen=True, slots=True)
class Material:
    """One label and the profiles its samples come from.

    Attributes
    ----------
    label
        Name as it is written in label lists.
    kind
        ``"tissue"`` or ``"cell line"``.
    parent
        Tissue a cell line was taken from; empty for tissues.
    normal
        Shipped profiles of healthy material; each study draws one, as a study
        of the brain looks at one region.
    tumour
        Shipped profiles of tumours; empty if there is none.
    weight
        Share of the studies, relative to the others.
    is_rare
        Whether it appears only as a few samples inside studies of others.
    """

    label: str
    kind: str
    parent: str
    normal: tuple[str, ...]
    tumour: tuple[str, ...]
    weight: float
    is_rare: bool = False


def _tissue(label: str, weight: float, normal: str, *, tumour: str = "") -> Material:
    """Describe a tissue; a weight of 0 makes it rare."""
    healthy = tuple(f"hpa:{name}" for name in normal.split())
    ill = tuple(f"tcga:{name}" for name in tumour.split())
    return Material(label, "tissue", "", healthy, ill, weight, weight == 0)


def _line(label: str, weight: float, normal: str, *, tumour: str, parent: str = "") -> Material:
    """Describe a cell line; its parent is named like its profile unless said otherwise."""
    ill = tuple(f"tcga:{name}" for name in tumour.split())
    origin = parent or normal
    return Material(label, "cell line", origin, (f"hpa:{normal}",), ill, weight, weight == 0)


# Ordered so that a small compendium, which takes the first ones, has both kinds, rare labels,
# liver and brain. Weights follow the frequency of such labels in ARCHS4, flattened.
MATERIALS = (
    _tissue("liver", 1.6, "liver", tumour="LIHC CHOL"),
    _tissue(
        "brain", 0, "cerebral_cortex hippocampal_formation cerebellum basal_ganglia", tumour="LGG"
    ),
    _line("HEPG2", 1.0, "liver", tumour="LIHC"),
    _tissue("lung", 1.4, "lung", tumour="LUAD LUSC"),
    _tissue("breast", 1.8, "breast", tumour="BRCA"),
    _line("MCF7", 1.2, "breast", tumour="BRCA"),
    _tissue("retina", 0, "retina"),
    _tissue("colon", 1.3, "colon rectum", tumour="COAD READ"),
    _tissue("skin", 1.6, "skin", tumour="SKCM"),
    _tissue("kidney", 1.2, "kidney", tumour="KIRC KIRP"),
    _line("A549", 1.1, "lung", tumour="LUAD"),
    _tissue("heart", 1.0, "heart_muscle"),
    _line("PANC1", 0, "pancreas", tumour="PAAD"),
    _tissue("bone marrow", 1.7, "bone_marrow", tumour="LAML"),
    _line("K562", 1.2, "bone_marrow", tumour="LAML", parent="bone marrow"),
    _tissue("skeletal muscle", 0.9, "skeletal_muscle tongue"),
    _tissue("adipose", 0.9, "adipose_tissue"),
    _tissue("esophagus", 0.9, "esophagus", tumour="ESCA"),
    _line("HCT116", 0.9, "colon", tumour="COAD READ"),
    _tissue("small intestine", 0.7, "small_intestine duodenum"),
    _tissue("thymus", 0, "thymus", tumour="THYM"),
    _tissue("prostate", 1.0, "prostate", tumour="PRAD"),
    _line("LNCAP", 0.9, "prostate", tumour="PRAD"),
    _tissue("ovary", 0.8, "ovary", tumour="OV"),
    _tissue("pancreas", 0.8, "pancreas", tumour="PAAD"),
    _tissue("testis", 0.6, "testis", tumour="TGCT"),
    _line("HEK293", 1.2, "kidney", tumour="KIRP"),
    _tissue("spleen", 0, "spleen"),
    _line("HACAT", 0.6, "skin", tumour="HNSC"),
    _line("SKOV3", 0, "ovary", tumour="OV"),
)

# What else gets into a sample: blood, stroma, fat, muscle, skin, mucosa.
CONTAMINANTS = (
    "hpa:spleen",
    "hpa:lymph_node",
    "hpa:bone_marrow",
    "hpa:smooth_muscle",
    "hpa:adipose_tissue",
    "hpa:skeletal_muscle",
    "hpa:skin",
    "hpa:stomach",
)


def choose_materials(n_studies: int) -> tuple[Material, ...]:
    """Take as many labels as the studies can carry.

    Parameters
    ----------
    n_studies
        Studies of the compendium; a label that is not rare needs about four.

    Returns
    -------
    tuple of Material
        At least six; all 30 from 96 studies on.

    Examples
    --------
    >>> [m.label for m in choose_materials(12)]
    ['liver', 'brain', 'HEPG2', 'lung', 'breast', 'MCF7']
    """
    chosen: list[Material] = []
    n_common = 0
    for material in MATERIALS:
        n_common += not material.is_rare
        if len(chosen) >= 6 and n_common > n_studies // 4:
            break
        chosen.append(material)
    return tuple(chosen)
