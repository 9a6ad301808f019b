"""Check what is installed: pinned, complete, consistent, and under licences that we accept.

    python -m scripts.audit_dependencies                 # offline, a second
    python -m scripts.audit_dependencies --advisories    # and known vulnerabilities, by network

Every package of this environment must be in constraints.txt at the version that is installed,
must meet what the others ask of it, and must state an accepted licence. Exceptions are listed
below with their licence and their reason, so that a new licence of an old package is noticed.
"""

import argparse
import importlib.metadata
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
# Installed with every interpreter, or this project itself.
FREE = {"pip", "expressome"}
ACCEPTED = {
    *("0BSD", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD-2-Clause", "BSD-3-Clause"),
    *("BSL-1.0", "CC0-1.0", "ISC", "MIT", "MIT-CMU", "MPL-2.0", "PSF-2.0", "Zlib"),
}
# What packages write that do not state an SPDX expression.
SPELLINGS = {
    "Apache Software License": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "Apache License": "Apache-2.0",
    "Apache v2.0": "Apache-2.0",
    "BSD": "BSD-3-Clause",
    "BSD License": "BSD-3-Clause",
    "BSD 3-Clause License": "BSD-3-Clause",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Public Domain": "CC0-1.0",
    "Python Software Foundation License": "PSF-2.0",
}
INTEL = (
    "Intel Simplified Software License: free to use and pass on; comes with the extra accel alone"
)
# Package -> its licence, and why it may stay. Those of DEVELOPMENT must not reach a user.
EXCEPTIONS = {
    "daal": ("Other/Proprietary License", INTEL),
    "tbb": ("Other/Proprietary License", INTEL),
    "tcmlib": ("Other/Proprietary License", INTEL),
}
DEVELOPMENT = {
    "codespell": ("GPL-2.0-only", "a program that `make check` runs; nothing links to it"),
    "docutils": (
        "BSD License, GNU General Public License (GPL), Public Domain",
        "builds the documentation; its GPL part is an Emacs mode",
    ),
    "loess": ("Other/Proprietary License", "no commercial use; archs4py, a peer in tests, asks it"),
    "plotbin": ("Other/Proprietary License", "no commercial use; loess asks for it"),
}


def read_pins(text):
    """Read the lines of a constraints file: name -> versions, in a list to notice doubles."""
    pins = {}
    for line in text.splitlines():
        words = line.split("#")[0].strip()
        if words:
            name, _, version = words.partition("==")
            pins.setdefault(canonicalize_name(name), []).append(version)
    return pins


def read_licence(metadata):
    """Give the licence that a package states: expression, else classifiers, else text."""
    if metadata.get("License-Expression"):
        return metadata["License-Expression"]
    stated = {
        line.split(" :: ")[-1]
        for line in metadata.get_all("Classifier") or []
        if line.startswith("License :: ") and not line.endswith(("OSI Approved", "DFSG approved"))
    }
    text = (metadata.get("License") or "").strip().split("\n")[0]
    return ", ".join(sorted(stated)) or text or "no licence stated"


def is_accepted(licence):
    """Tell whether an SPDX expression, or what stands for one, is accepted."""
    if SPELLINGS.get(licence, licence) in ACCEPTED:
        return True
    bare = licence.replace("(", " ").replace(")", " ")
    # Classifiers that are joined by commas are a choice, as "dual licence" is.
    choices = re.split(r" OR |, ", bare)
    return any(
        all(SPELLINGS.get(part.strip(), part.strip()) in ACCEPTED for part in choice.split(" AND "))
        for choice in choices
    )


def ask_needs(distribution, extras=("",)):
    """Give the requirements that hold here."""
    for text in distribution.requires or []:
        need = Requirement(text)
        if need.marker is None or any(need.marker.evaluate({"extra": name}) for name in extras):
            yield need


def find_reached(installed, root):
    """Name all packages that a user of every extra gets."""
    reached, waiting = set(), [(root, ("", "all"))]
    while waiting:
        name, extras = waiting.pop()
        if name in installed and (name, extras) not in reached:
            reached.add((name, extras))
            waiting += [
                (canonicalize_name(need.name), ("", *sorted(need.extras)))
                for need in ask_needs(installed[name], extras)
            ]
    return {name for name, _ in reached}


def find_bundled(installed, pins):
    """Name what torch's build for graphics cards brings, at versions that torch itself pins."""
    return find_reached(installed, "torch") - pins.keys() - {"torch"}


def check_pins(pins, installed):
    """Compare what is installed with what is pinned."""
    for name, versions in pins.items():
        if len(versions) > 1 or not versions[0]:
            yield f"constraints.txt pins {name} to {versions}; leave one version"
    bundled = find_bundled(installed, pins)
    for name, distribution in installed.items():
        if name in FREE | bundled:
            continue
        if name not in pins:
            yield f"{name} {distribution.version} is installed but not in constraints.txt"
        # A local part, such as +cpu, tells how a version was built.
        elif Version(distribution.version).public != pins[name][0]:
            yield f"{name} {distribution.version} is installed, {pins[name][0]} is pinned"
        if distribution.read_text("direct_url.json"):
            yield f"{name} was installed from an address of its own, not from a registry"


def check_needs(installed):
    """See that all requirements are met."""
    for name, distribution in installed.items():
        for need in ask_needs(distribution):
            found = installed.get(canonicalize_name(need.name))
            if found is None:
                yield f"{name} needs {need}, which is not installed"
            elif not need.specifier.contains(found.version, prereleases=True):
                yield f"{name} needs {need}, but {found.version} is installed"


def check_licences(installed, reached, *, bundled):
    """See that licences are accepted, and exceptions are still what they were."""
    for name, distribution in installed.items():
        if name in bundled:
            continue
        licence = read_licence(distribution.metadata)
        known, _ = EXCEPTIONS.get(name) or DEVELOPMENT.get(name) or ("", "")
        if licence != known and (known or not is_accepted(licence)):
            expected = known or "an accepted one"
            yield f"{name} {distribution.version} is under {licence!r}, not {expected}"
        if name in DEVELOPMENT and name in reached:
            yield f"{name} ({licence}) is for development, but users of an extra get it"


def audit(text, distributions):
    """Give all findings for a constraints file and the distributions that are installed."""
    installed, doubles = {}, []
    for distribution in distributions:
        name = canonicalize_name(distribution.metadata["Name"])
        if name in installed:
            doubles.append(f"{name} is installed twice")
        installed[name] = distribution
    pins, reached = read_pins(text), find_reached(installed, "expressome")
    return [
        *doubles,
        *check_pins(pins, installed),
        *check_needs(installed),
        *check_licences(installed, reached, bundled=find_bundled(installed, pins)),
    ]


def ask_advisories():
    """Compare the pins with the published advisories, where pip-audit and a network are there."""
    if importlib.util.find_spec("pip_audit") is None:
        return "known vulnerabilities: skipped, pip-audit is not installed (pip install pip-audit)"
    command = [sys.executable, "-m", "pip_audit", "--progress-spinner", "off", "--format", "json"]
    done = subprocess.run(
        [*command, "--disable-pip", "--no-deps", "-r", ROOT / "constraints.txt"],
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        reason = (done.stderr.strip().splitlines() or ["no answer"])[-1]
        return f"known vulnerabilities: skipped, the list of advisories gave no answer ({reason})"
    return describe_advisories(packages)


def describe_advisories(packages):
    """Say what pip-audit found; a package it could not look up is not one without a fault."""
    hits = [
        f"{package['name']} {package['version']}: {fault['id']}, corrected in "
        f"{', '.join(fault['fix_versions']) or 'no version yet'}"
        for package in packages
        for fault in package.get("vulns", ())
    ]
    if hits:
        sys.exit("\n".join([*hits, f"{len(hits)} known vulnerabilities"]))
    n_skipped = sum("skip_reason" in package for package in packages)
    said = f"known vulnerabilities: none in {len(packages) - n_skipped} packages"
    return f"{said}; {n_skipped} could not be looked up" if n_skipped else said


def main():
    """Audit this environment; exit 1 with all findings."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--advisories", action="store_true", help="ask for known vulnerabilities")
    options = parser.parse_args()
    distributions = list(importlib.metadata.distributions())
    found = audit((ROOT / "constraints.txt").read_text(), distributions)
    if found:
        sys.exit("\n".join([*found, f"{len(found)} findings"]))
    n_exceptions = len(EXCEPTIONS) + len(DEVELOPMENT)
    print(
        f"{len(distributions)} packages: pinned, complete, consistent, under accepted licences "
        f"({n_exceptions} exceptions with a reason)"
    )
    if options.advisories:
        print(ask_advisories())


if __name__ == "__main__":
    main()
