"""The documentation held against the code: what is generated is whole, what is shown is accepted."""

import importlib.util
import re

import pytest
from conftest import ROOT
from ruamel.yaml import YAML

import a3c_bench
from a3c_bench.config import parse_config

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PARAMS = YAML(typ="safe").load((ROOT / "params.yaml").read_text())
COMMANDS = {path.stem.replace("_", "-") for path in (ROOT / "src" / "a3c_bench" / "commands").glob("[a-z]*.py")}


@pytest.fixture(scope="module")
def reference():
    spec = importlib.util.spec_from_file_location("reference", ROOT / "docs" / "site" / "reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def tables(markdown):
    """The rows of every section, as cells."""
    titles = re.split(r"^## (.*)$", markdown, flags=re.MULTILINE)[1:]
    rows = re.compile(r"^\| `.*$", re.MULTILINE)
    parted = zip(titles[::2], titles[1::2], strict=True)
    return {title: [re.split(r"(?<!\\) ?\| ?", row)[1:-1] for row in rows.findall(text)] for title, text in parted}


def test_every_param_is_listed_with_its_default_its_bounds_and_what_it_means(reference):
    found = tables(reference.params())
    expected = {"Top level": {key: value for key, value in PARAMS.items() if not is_section(value)}}
    expected |= {key: value for key, value in PARAMS.items() if is_section(value)}
    assert list(found) == list(expected)
    for section, rows in found.items():
        read = YAML(typ="safe")
        assert {row[0].strip("`"): read.load(row[1].strip("`")) for row in rows} == expected[section]
        assert all(len(row) == 4 and all(row) for row in rows)


def is_section(value):
    return isinstance(value, dict) and bool(value)


def test_every_command_and_every_public_name_is_listed(reference):
    found = tables(reference.verbs())
    assert set(found) == COMMANDS | {"Options of every command"}
    assert all(row[1] for rows in found.values() for row in rows)
    assert re.findall(r"^::: .*\.(\w+)$", reference.api(), re.MULTILINE) == a3c_bench.__all__


def test_the_site_has_every_page_once():
    listed = re.findall(r": ([a-z-]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(path.name for path in (ROOT / "docs").glob("*.md"))


def shown(language):
    blocks = re.compile(rf"```{language}\n(.*?)```", re.DOTALL)
    return [
        pytest.param(block, id=f"{page.stem}-{n}")
        for page in PAGES
        for n, block in enumerate(blocks.findall(page.read_text()))
    ]


def changed(changes):
    """The committed params with these: a dotted key is one of a section."""
    params = YAML(typ="safe").load((ROOT / "params.yaml").read_text())
    for key, value in changes.items():
        section, *rest = key.removeprefix("+").split(".")
        if rest:
            # Only what is added may be new.
            assert key.startswith("+") or rest[0] in params[section], key
            params[section][rest[0]] = value
        else:
            # Of a section that is there, a page may show some keys only.
            known = params.get(section)
            params[section] = {**known, **value} if isinstance(known, dict) and isinstance(value, dict) else value
    return params


@pytest.mark.parametrize("block", shown("yaml"))
def test_params_that_a_page_shows_are_accepted(block):
    parse_config(changed(YAML(typ="safe").load(block)))


EXPERIMENTS = [
    pytest.param(line, id=f"{page.stem}-{n}")
    for page in PAGES
    for n, line in enumerate(re.findall(r"dvc exp run[^\n`]*", page.read_text()))
    if "-S" in line
]


@pytest.mark.parametrize("line", EXPERIMENTS)
def test_experiments_that_a_page_shows_are_accepted(line):
    pairs = re.findall(r"-S '?([^=\s']+)=(\[[^\]]*\]|[^\s'&]+)", line)
    assert len(pairs) == line.count("-S ")
    read = YAML(typ="safe")
    # A queue's list without brackets is one experiment for each value.
    for pick in (0, -1) if "--queue" in line else (0,):
        values = {key: value if value.startswith("[") else value.split(",")[pick] for key, value in pairs}
        parse_config(changed({key: read.load(value) for key, value in values.items()}))
