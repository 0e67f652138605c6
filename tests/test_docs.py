"""The documentation held against the code: what is generated is whole, what is shown is accepted."""

import importlib.util
import json
import re
import subprocess
import sys

import pytest
from conftest import ROOT, environment
from ruamel.yaml import YAML

import a3c_bench
from a3c_bench.config import parse_config
from a3c_bench.environments.make import describe
from a3c_bench.environments.recipe import Recipe

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PARAMS = YAML(typ="safe").load((ROOT / "params.yaml").read_text())
COMMANDS = {path.stem.replace("_", "-") for path in (ROOT / "src" / "a3c_bench" / "commands").glob("[a-z]*.py")}


@pytest.fixture(scope="module")
def reference():
    spec = importlib.util.spec_from_file_location("reference", ROOT / "docs" / "site" / "reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def committed(pattern):
    """The files of this kind that are in git."""
    command = ["git", "ls-files", pattern]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()


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


TABLES = sorted(
    {re.sub(r"(train|evaluate)/\w+/seed-\d+", r"\1/<algorithm>/seed-<n>", name) for name in committed("reports/*.csv")}
)


@pytest.mark.parametrize("name", TABLES)
def test_every_column_of_a_table_is_explained(name):
    rows = {
        row[0].strip("`"): row[2] for rows in tables((ROOT / "docs" / "files.md").read_text()).values() for row in rows
    }
    path = ROOT / name.replace("<algorithm>", "nstep").replace("<n>", "0")
    assert re.findall(r"`(\w+)`", rows[name])[:1] == path.read_text().partition("\n")[0].split(",")[:1]
    missing = set(path.read_text().partition("\n")[0].split(",")) - set(re.findall(r"`(\w+)`", rows[name]))
    assert not missing


def test_the_wrapper_that_a_page_shows_works(tmp_path, monkeypatch):
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "wrappers.md").read_text(), re.DOTALL)
    (tmp_path / "my_wrappers.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    wrapped = describe(Recipe("CartPole-v1", wrappers=("my_wrappers:Centred",))).make_single()
    wrapped.reset(seed=0)
    wrapped.unwrapped.state = (1.0, 0.0, 0.0, 0.0)
    assert wrapped.step(0)[1] == pytest.approx(0.9)


def links():
    """Every relative link of a page: its file and the heading that it names."""
    for page in (*PAGES, ROOT / "CONTRIBUTING.md"):
        for target in re.findall(r"\]\((?!\w+:)([^)\s]+)\)", page.read_text()):
            path, _, heading = target.partition("#")
            yield page, page.parent / path if path else page, heading


def test_the_environment_that_a_page_shows_is_trained(tmp_path, monkeypatch):
    page = (ROOT / "docs" / "extending.md").read_text()
    code = re.search(r"```python\n(# my_envs.py\n.*?)```", page, re.DOTALL)[1]
    (tmp_path / "my_envs.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    name = re.search(r'`env: "(my_envs:[^"]*)"`', page)[1]
    trained = a3c_bench.train(a3c_bench.load_config().with_(env=name, nstep={"total_steps": 100_000}), "nstep")
    del sys.modules["my_envs"]
    assert trained.curve["return"].iloc[-100:].mean() > trained.curve["return"].iloc[:100].mean()


def test_links_lead_to_files_and_headings_that_are_there():
    for page, path, heading in links():
        assert path.exists(), (page.name, path)
        if heading and path.suffix == ".md":
            titles = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
            assert heading in {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}, page.name


NOTEBOOK = ROOT / "examples" / "notebook.ipynb"


def told(output):
    """What a person reads of an output; figures are pictures, and compared by nobody."""
    return "".join(output.get("text", [])) or "".join(output["data"].get("text/plain", []))


@pytest.mark.slow
def test_the_notebook_gives_the_outputs_that_it_shows(tmp_path, monkeypatch):
    """In a process whose program, as in a notebook, comes from no file."""
    cells = [cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]
    (tmp_path / "cells.json").write_text(json.dumps(["".join(cell["source"]) for cell in cells]))
    result = subprocess.run(
        [sys.executable, "-c", IN_CELLS],
        cwd=tmp_path,
        env=environment(MPLBACKEND="agg"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    for cell, said in zip(cells, json.loads((tmp_path / "said.json").read_text()), strict=True):
        shown = [told(output) for output in cell["outputs"] if "image/png" not in output.get("data", {})]
        assert said.strip() == "".join(shown).strip()


def test_the_notebook_names_no_machine():
    assert not re.search(r"/(home|root|tmp|work)/", NOTEBOOK.read_text())


IN_CELLS = """
import ast, json, sys, types
from pathlib import Path

import pandas as pd

main = types.ModuleType("__main__")
sys.modules["__main__"] = main
sys.path.insert(0, "")
said = []
for cell in json.loads(Path("cells.json").read_text()):
    *body, last = ast.parse(cell).body
    value = None
    if isinstance(last, ast.Expr):
        exec(compile(ast.Module(body, []), "<cell>", "exec"), main.__dict__)
        value = eval(compile(ast.Expression(last.value), "<cell>", "eval"), main.__dict__)
    else:
        exec(compile(cell, "<cell>", "exec"), main.__dict__)
    said.append("" if value is None else repr(value))
Path("said.json").write_text(json.dumps(said))
"""
