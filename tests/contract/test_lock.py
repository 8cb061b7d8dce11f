"""The lock holds all that the project needs, on each Python and platform, and nothing is resolved.

Requirements are followed from the project's own, extras and markers included, through what the
installed distributions say of themselves.
"""

import importlib.metadata
import re

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from mlpcw.study.records.store import repository_root

LOCK = (repository_root() / "requirements.txt").read_text("utf-8")
PYTHONS = ["3.11", "3.12", "3.13", "3.14", "3.15"]
PLATFORMS = [
    ("linux", "Linux", "x86_64"),
    ("linux", "Linux", "aarch64"),
    ("darwin", "Darwin", "arm64"),
    ("darwin", "Darwin", "x86_64"),
]
NAMES = ("sys_platform", "platform_system", "platform_machine")
ENVIRONMENTS = [
    {"python_version": python, "python_full_version": f"{python}.0", "os_name": "posix"}
    | dict(zip(NAMES, platform, strict=True))
    for python in PYTHONS
    for platform in PLATFORMS
]


def pins_of(lock, environment):
    """The version of each package that the lock installs in an environment, by name."""
    lines = re.findall(r"^\S+==.*?(?= \\$)", lock, re.MULTILINE)
    pins = [Requirement(line) for line in lines]
    return {
        canonicalize_name(pin.name): next(iter(pin.specifier)).version
        for pin in pins
        if pin.marker is None or pin.marker.evaluate(environment)
    }


def gaps(lock, environment):
    """A line for each requirement that the lock does not meet, from `mlpcw[dev]` on."""
    environment = default_environment() | environment
    pins = pins_of(lock, environment)
    to_follow, followed = [("mlpcw", ""), ("mlpcw", "dev")], set()
    while to_follow:
        name, extra = to_follow.pop()
        if (name, extra) in followed:
            continue
        followed.add((name, extra))
        try:
            requires = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:  # for other platforms than this one
            continue
        for needed in map(Requirement, requires):
            if needed.marker and not needed.marker.evaluate(environment | {"extra": extra}):
                continue
            needed_name = canonicalize_name(needed.name)
            version = pins.get(needed_name)
            if needed_name != "mlpcw" and (version is None or version not in needed.specifier):
                yield f"{name} needs {needed}, the lock has {version}"
            to_follow += [(needed_name, of_needed) for of_needed in ("", *needed.extras)]


def name_of(environment):
    return "{python_version}-{sys_platform}-{platform_machine}".format(**environment)


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=name_of)
def test_lock_has_every_requirement(environment):
    assert list(gaps(LOCK, environment)) == []


@pytest.mark.parametrize(
    ("line", "planted", "gap"),
    [
        (r"tinycss2==\S+", "tinycss2==0.1", r"bleach needs tinycss2.*, the lock has 0\.1"),
        (r"tinycss2==\S+", "other==1", r"bleach needs tinycss2.*, the lock has None"),
        (r"coverage\[toml\]==\S+", "other==1", r"pytest-cov needs coverage\[toml\]>.* has None"),
        (r"(scipy==\S+) ; [^\\]*'3\.15'", r"\1 ; os_name == 'nt'", "mlpcw needs scipy>.* has None"),
        (r"(psutil==\S+)", r"\1 ; sys_platform == 'win32'", "distributed needs psutil>.* has None"),
    ],
)
def test_a_gap_is_found(line, planted, gap):
    lock, count = re.subn(rf"^{line}", planted, LOCK, flags=re.MULTILINE)
    assert count
    assert any(re.search(gap, line) for line in gaps(lock, ENVIRONMENTS[0]))


def test_what_is_installed_is_what_the_lock_says():
    if not (repository_root() / ".venv" / "up-to-date").is_file():
        pytest.skip("the environment was not made by `make setup`")
    distributions = importlib.metadata.distributions()
    installed = {canonicalize_name(package.name): package.version for package in distributions}
    pins = pins_of(LOCK, default_environment())
    assert {name: installed.get(name) for name in pins} == pins


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Makefile", f"PYTHONS   := {' '.join(PYTHONS)}\n"),
        ("README.md", f"They need Python {PYTHONS[0]} to {PYTHONS[-1]} "),
        ("pyproject.toml", f'requires-python = ">={PYTHONS[0]}"'),
        (".github/workflows/ci.yml", f'python: ["{PYTHONS[0]}", "{PYTHONS[-1]}"]'),
    ],
)
def test_the_same_pythons_are_named_everywhere(name, text):
    assert text in (repository_root() / name).read_text("utf-8")
