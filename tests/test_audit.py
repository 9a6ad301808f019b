"""The audit of dependencies finds what is wrong, and finds nothing wrong here."""

import importlib.metadata

import pytest
from scripts.audit_dependencies import audit, describe_advisories, is_accepted

PINS = "expressome==1\nnumpy==2.0\n"


@pytest.fixture
def install(tmp_path):
    """Give a function that lays out a package as pip records it."""

    def install(name, version="2.0", *, licence="License-Expression: MIT", needs=(), folder=""):
        place = tmp_path / folder / f"{name}-{version}.dist-info"
        place.mkdir(parents=True)
        lines = [f"Name: {name}", f"Version: {version}", licence]
        lines += [f"Requires-Dist: {need}" for need in needs]
        (place / "METADATA").write_text("Metadata-Version: 2.4\n" + "\n".join(lines) + "\n\n")
        return importlib.metadata.PathDistribution(place)

    return install


def test_this_environment_has_no_findings():
    from scripts.audit_dependencies import ROOT

    text = (ROOT / "constraints.txt").read_text()

    assert audit(text, importlib.metadata.distributions()) == []


def test_a_sound_environment_has_no_findings(install):
    packages = [install("expressome", "1", needs=["numpy>=1.9"]), install("numpy", "2.0+cpu")]

    assert audit(PINS, packages) == []


FAULTS = {
    "numpy 2.1 is installed, 2.0 is pinned": {"version": "2.1"},
    "numpy 2.0 is under 'GPL-3.0-only', not an accepted one": {
        "licence": "License-Expression: GPL-3.0-only"
    },
    "numpy 2.0 is under 'no licence stated', not an accepted one": {"licence": "Summary: none"},
    "numpy needs torch, which is not installed": {"needs": ["torch"]},
    "numpy needs expressome>=2, but 1 is installed": {"needs": ["expressome>=2"]},
}


@pytest.mark.parametrize("said", FAULTS)
def test_a_fault_is_said(said, install):
    assert audit(PINS, [install("expressome", "1"), install("numpy", **FAULTS[said])]) == [said]


def test_a_package_that_nobody_pinned_is_said(install):
    assert audit("", [install("numpy")]) == [
        "numpy 2.0 is installed but not in constraints.txt"
    ]  # fmt: skip


def test_two_versions_at_once_are_said(install):
    found = audit(f"{PINS}numpy==2.1\n", [install("numpy"), install("numpy", folder="other")])

    assert found == [
        "numpy is installed twice",
        "constraints.txt pins numpy to ['2.0', '2.1']; leave one version",
    ]


def test_a_package_from_an_address_of_its_own_is_said(install):
    package = install("numpy")
    (package._path / "direct_url.json").write_text("{}")

    assert audit(PINS, [package]) == [
        "numpy was installed from an address of its own, not from a registry"
    ]


def test_what_is_for_development_must_not_reach_a_user(install):
    gpl = install("codespell", licence="License-Expression: GPL-2.0-only")
    text = f"{PINS}codespell==2.0\n"

    assert audit(text, [install("expressome", "1"), gpl]) == []
    assert audit(text, [install("expressome", "1", needs=["codespell"], folder="b"), gpl]) == [
        "codespell (GPL-2.0-only) is for development, but users of an extra get it"
    ]


def test_an_exception_with_a_new_licence_is_said(install):
    changed = install("tbb", licence="License-Expression: MIT")

    assert audit("tbb==2.0", [changed]) == [
        "tbb 2.0 is under 'MIT', not Other/Proprietary License"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("licence", "expected"),
    [
        ("MIT", True),
        ("GPL-3.0-only OR MIT", True),
        ("GPL-3.0-only AND MIT", False),
        ("(MIT AND BSD-3-Clause) AND Apache-2.0 WITH LLVM-exception", True),
        ("Apache Software License, BSD License", True),
        ("GNU General Public License (GPL)", False),
        ("", False),
    ],
)
def test_an_expression_of_licences_is_read(licence, expected):
    assert is_accepted(licence) is expected


def test_a_known_vulnerability_ends_the_audit_and_names_the_cure():
    fault = {"id": "CVE-1", "fix_versions": ["2.1"]}

    with pytest.raises(SystemExit, match=r"numpy 2.0: CVE-1, corrected in 2\.1"):
        describe_advisories([{"name": "numpy", "version": "2.0", "vulns": [fault]}])


def test_a_package_that_could_not_be_looked_up_is_not_called_sound():
    packages = [{"name": "a", "version": "1", "vulns": []}, {"name": "b", "skip_reason": "?"}]

    assert describe_advisories(packages) == (
        "known vulnerabilities: none in 1 packages; 1 could not be looked up"
    )
