"""Take apart the free text that submitters wrote of a sample."""

import re
import unicodedata

__all__ = ["fold_text", "split_characteristics"]

# GEO joins the characteristics of a sample with one of these; ARCHS4 v2 with commas, which
# values hold too: a comma parts two characteristics only where a key and a colon follow.
_PARTS = re.compile(r"\s*(?:[|;\n\t]|Xx-xX|,(?=\s*[^,:|;]{1,60}:(?!//)))\s*")
_GREEK = str.maketrans(
    {
        "\N{GREEK SMALL LETTER ALPHA}": "alpha",
        "\N{GREEK SMALL LETTER BETA}": "beta",
        "\N{GREEK SMALL LETTER GAMMA}": "gamma",
        "\N{GREEK SMALL LETTER KAPPA}": "kappa",
        "\N{GREEK SMALL LETTER MU}": "u",
    }
)
_OTHER = re.compile(r"[^a-z0-9+.?]+|(?<!\d)\.|\.(?!\d)")


def fold_text(text: str) -> str:
    """Give the form in which rules are compared: lower case, words apart by one blank.

    Parameters
    ----------
    text
        As written.

    Returns
    -------
    str
        Letters, digits, ``+``, ``?`` and points within numbers; Greek letters by name.

    Examples
    --------
    >>> fold_text("CD4+ T-cells, naïve (2.5 ng)")
    'cd4+ t cells naive 2.5 ng'
    """
    letters = text.lower()
    if not letters.isascii():
        plain = unicodedata.normalize("NFKD", letters.translate(_GREEK))
        letters = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return " ".join(_OTHER.sub(" ", letters).split())


def split_characteristics(text: str) -> list[tuple[str, str]]:
    """Split the characteristics of a sample into keys and values.

    Parameters
    ----------
    text
        Such as ``"tissue: liver,age: 50"``, joined by commas, semicolons, bars or
        ``Xx-xX``, as the releases of ARCHS4 and GEO's tables do.

    Returns
    -------
    list of (str, str)
        Key and value as written, in order; a part without a colon has an empty key.

    Examples
    --------
    >>> split_characteristics("tissue: liver, left lobe,age: 50")
    [('tissue', 'liver, left lobe'), ('age', '50')]
    >>> split_characteristics("liver")
    [('', 'liver')]
    """
    pairs = []
    for part in _PARTS.split(text):
        key, colon, value = part.partition(":")
        pair = (key.strip(), value.strip()) if colon else ("", key.strip())
        if pair[1]:
            pairs.append(pair)
    return pairs
