"""Experiments side by side: git revisions with results of their own."""

import json
import re
import subprocess

import pandas as pd
import pytest
from browser import looked_at
from ruamel.yaml import YAML

from a3c_bench.report.figures import returns

HEADER = "algorithm,env_step,iqm,low,high\n"


def summary(iqm, interval=True):
    row = {"seeds": 2, "seeds_solved": 1, "steps_to_threshold": None}
    for policy in ("greedy", "sampled"):
        row |= {f"{policy}_iqm": iqm, f"{policy}_iqm_low": iqm - 10 if interval else None}
        row[f"{policy}_iqm_high"] = iqm + 10 if interval else None
    return {"nstep": row}


@pytest.fixture
def repository(workspace):
    def git(*arguments):
        subprocess.run(["git", *arguments], cwd=workspace, check=True, capture_output=True)

    def commit(tag, workers, hashes, iqm=450.0, **changes):
        write = {
            "reports/report/summary.json": json.dumps(summary(iqm)),
            "reports/report/learning.csv": HEADER + f"nstep,100,20,10,30\nnstep,200,{iqm},{iqm - 10},{iqm + 10}\n",
            "reports/profile/metrics.json": json.dumps({"nstep": {"env_steps_per_second": 1000.0 * workers}}),
        }
        for name, content in write.items():
            (workspace / name).parent.mkdir(parents=True, exist_ok=True)
            (workspace / name).write_text(content)
        outs = [{"path": f"models/nstep/seed-{seed}.safetensors", "md5": md5} for seed, md5 in enumerate(hashes)]
        with (workspace / "dvc.lock").open("w") as file:
            YAML(typ="safe").dump({"schema": "2.0", "stages": {"train@nstep-0": {"outs": outs}}}, file)
        params = YAML(typ="safe").load((workspace / "params.yaml").read_text())
        with (workspace / "params.yaml").open("w") as file:
            YAML(typ="safe").dump({**params, "seeds": [0, 1], "workers": workers, **changes}, file)
        git("add", "--all")
        git("commit", "--quiet", "--message", tag)
        git("tag", tag)

    git("init", "--quiet")
    git("config", "user.email", "nobody@example.org")
    git("config", "user.name", "nobody")
    (workspace / ".dvc").mkdir()
    commit("two-workers", 2, ["a", "b"])
    commit("four-workers", 4, ["a", "b"])
    commit("other-code", 4, ["a", "c"], iqm=300.0)
    commit("one-seed", 4, ["a", "stale"], seeds=[0])
    commit("acrobot", 4, ["d", "b"], iqm=-80.0, env="Acrobot-v1", seeds=[0])
    return workspace


def test_revisions_are_put_side_by_side(a3c_bench, repository):
    said = a3c_bench("compare", "two-workers", "four-workers", "other-code", COLUMNS="160")
    assert said.returncode == 0, said.stderr
    page = (repository / "compare" / "index.html").read_text()
    assert "<tr><td><code>workers</code></td><td>2</td><td>4</td><td>4</td></tr>" in page
    assert page.count("<code>workers</code>") == page.count("<td><code>")
    assert page.count('<td class="left">same bits</td>') == 1
    assert page.count('<td class="left">1 of 2 the same</td>') == 1
    assert "450.0 [440.0, 460.0]" in page
    assert page.count("<svg") == 2
    assert "4,000" in page
    assert "1 of 2 the same" in said.stdout
    assert said.stdout.splitlines()[-1] == "compare/index.html"


def test_the_page_fits_wherever_it_is_read_and_what_matters_comes_first(a3c_bench, repository, tmp_path_factory):
    assert a3c_bench("compare", "two-workers", "four-workers", "acrobot").returncode == 0
    page = repository / "compare" / "index.html"
    header = page.read_text().split("<h2>Results on ")[1].split("</tr>")[0]
    assert re.findall(r"<th[^>]*>([^<]*)", header)[:4] == ["algorithm", "experiment", "models", "env steps/s"]
    for width in (1400, 1200, 1000, 390):
        found = looked_at(page, width, tmp_path_factory.mktemp("browser"))
        assert found["page"][0] <= found["page"][1], width
        assert found["scrolled"] == [] or width == 390
        assert found["narrow"] == (2 if width == 390 else 0)


def test_of_equal_curves_each_is_seen():
    band = pd.DataFrame({"algorithm": "nstep", "env_step": [1, 2], "iqm": [3.0, 4.0], "low": [3, 4], "high": [3, 4]})
    (axis,) = returns.overlay({"one": band, "same": band, "again": band}, "title").axes
    widths = [line.get_linewidth() for line in axis.lines]
    assert widths == sorted(set(widths), reverse=True)


def test_only_the_models_of_an_experiments_own_seeds_count(a3c_bench, repository):
    said = a3c_bench("compare", "two-workers", "one-seed", COLUMNS="160")
    assert "same bits" in said.stdout, said.stderr


def test_environments_stand_apart(a3c_bench, repository):
    said = a3c_bench("compare", "two-workers", "acrobot", "four-workers", COLUMNS="160")
    assert said.returncode == 0, said.stderr
    page = (repository / "compare" / "index.html").read_text()
    cartpole, acrobot = page.split("<h2>Results on ")[1:]
    assert cartpole.startswith("CartPole-v1") and acrobot.startswith("Acrobot-v1")
    assert cartpole.count("<svg") == acrobot.count("<svg") == 2
    assert '<td class="left">same bits</td>' in cartpole
    assert acrobot.count('<td class="left">other environment</td>') == 1
    assert "same bits</td>" not in acrobot and "−80.0" not in cartpole


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "this commit has no experiments; `dvc exp run -S workers=4` makes one"),
        (("two-workers",), "'two-workers' alone has nothing beside it"),
        (("two-workers", "nowhere"), "'nowhere' is unknown; allowed: a git revision or an experiment (none yet)"),
    ],
)
def test_what_cannot_be_compared_is_named(a3c_bench, repository, arguments, said):
    result = a3c_bench("compare", *arguments)
    assert result.returncode == 2
    assert result.stderr.startswith(f"a3c-bench: compare: {said}")
    assert len(result.stderr.splitlines()) == 1
    assert not (repository / "compare").exists()


def test_a_revision_without_results_is_named(a3c_bench, repository):
    subprocess.run(["git", "rm", "--quiet", "-r", "reports"], cwd=repository, check=True)
    subprocess.run(["git", "commit", "--quiet", "--message", "no results"], cwd=repository, check=True)
    result = a3c_bench("compare", "two-workers", "HEAD")
    assert result.returncode == 2
    assert result.stderr == (
        "a3c-bench: HEAD: has no reports/report/summary.json; `dvc exp run` or `make repro` makes it\n"
    )
