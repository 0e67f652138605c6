"""What a public project has, held against itself: versions, workflows, and what its pages name."""

import re
import tomllib

import pytest
from conftest import ROOT
from ruamel.yaml import YAML

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")] + sorted((ROOT / "docs").glob("*.md"))
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
COMMANDS = {path.stem.replace("_", "-") for path in (ROOT / "src" / "a3c_bench" / "commands").glob("[a-z]*.py")}


def read_yaml(path):
    return YAML(typ="safe").load(path.read_text())


def numbers(text):
    return tuple(int(number) for number in re.fullmatch(r"(\d+)\.(\d+)\.(\d+)(\.dev0)?", text).groups()[:3])


def test_the_version_is_one_and_comes_after_the_last_release():
    version, changes = PROJECT["version"], (ROOT / "CHANGELOG.md").read_text()
    assert read_yaml(ROOT / "CITATION.cff")["version"] == version
    released = re.findall(r"^## (\d+\.\d+\.\d+)$", changes, re.MULTILINE)
    assert [numbers(one) for one in released] == sorted(map(numbers, released), reverse=True)
    unreleased = re.search(r"^## Unreleased\n- ", changes, re.MULTILINE)
    if unreleased:
        assert version.endswith(".dev0") and numbers(version) > numbers(released[0])
    else:
        assert version == released[0]


def test_the_licence_is_there_and_named_everywhere():
    assert (ROOT / "LICENSE").read_text().startswith("MIT License")
    assert PROJECT["license"] == read_yaml(ROOT / "CITATION.cff")["license"] == "MIT"


def test_workflows_call_targets_that_there_are():
    called = {target for path in WORKFLOWS for target in re.findall(r"run: make ([\w-]+)", path.read_text())}
    assert {"test-all", "wheel", "image"} <= called <= TARGETS


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned_and_rights_are_few(path):
    used = re.findall(r"uses: (.*)", path.read_text())
    assert used and all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v[\d.]+", one) for one in used)
    assert read_yaml(path)["permissions"] == {"contents": "read"}


def test_ci_tries_every_python_that_is_promised():
    tried = read_yaml(ROOT / ".github" / "workflows" / "ci.yml")["jobs"]["test"]["strategy"]["matrix"]["python"]
    prefix = "Programming Language :: Python :: "
    assert tried == [one.removeprefix(prefix) for one in PROJECT["classifiers"] if one.startswith(prefix)]
    minors = [int(one.removeprefix("3.")) for one in tried]
    assert PROJECT["requires-python"] == f">=3.{min(minors)},<3.{max(minors) + 1}"


def test_a_release_is_a_wheel_a_report_and_an_image_for_two_architectures():
    jobs = read_yaml(ROOT / ".github" / "workflows" / "release.yml")["jobs"]
    assert {"wheel", "report", "image", "images"} <= jobs.keys()
    machines = {one["architecture"] for one in jobs["image"]["strategy"]["matrix"]["include"]}
    assert machines == {"amd64", "arm64"}
    assert all(f"$image-{machine}" in str(jobs["images"]) for machine in machines)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_what_a_page_links_to_is_there(path):
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
        if "://" not in target:
            file, _, anchor = target.partition("#")
            linked = (path.parent / file) if file else path
            assert linked.exists(), target
            assert not anchor or anchor in anchors(linked), target


def anchors(path):
    if path.suffix == ".html":
        return set(re.findall(r'id="([^"]+)"', path.read_text()))
    titles = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_targets_and_commands_that_a_page_names_are_there(path):
    blocks = re.findall(r"```sh\n(.*?)```|`([^`\n]+)`", path.read_text(), re.DOTALL)
    code = "\n".join(block or inline for block, inline in blocks)
    named = set(re.findall(r"(?:^|[\s;&])make ([a-z][a-z-]*)", code, re.MULTILINE))
    assert named <= TARGETS
    # Without a possessive quantifier: that of Python 3.11.2 finds `help` in `a3c-bench --help`.
    options = r"(?:--log json |--(?!log json )\w+ )*"
    commands = set(re.findall(rf"(?:^|[\s;&])a3c-bench {options}([a-z][a-z-]*)", code, re.MULTILINE))
    assert commands <= COMMANDS


README = (ROOT / "README.md").read_text()
WRITTEN_BY_THE_PIPELINE = re.compile(r"<!-- peers -->.*<!-- /peers -->", re.DOTALL)


def test_the_readme_is_one_page():
    assert len(README.splitlines()) <= 150


def test_every_figure_in_the_readme_is_the_pipelines():
    assert WRITTEN_BY_THE_PIPELINE.search(README)
    own = WRITTEN_BY_THE_PIPELINE.sub("", README)
    measured = re.findall(r"\d[\d.,]*\s*(?:%|×|x\b|s\b|ms\b|seconds?|minutes?|hours?|env steps|steps/s|GB|MiB)", own)
    assert not measured
    assert not re.findall(r"\[\d[\d.,]*, \d", own), "an interval"
