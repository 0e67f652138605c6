"""What the stages write: canonical, whole, and the same for any number of workers."""

import io
import json
import os
import re
import shutil
import stat
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
import pandas as pd
import pytest
from browser import looked_at
from conftest import ROOT, small_config, small_params, write_params
from PIL import Image
from safetensors.numpy import load_file, save_file

from a3c_bench.errors import BadInputError
from a3c_bench.evidence.reproducibility.price import COLUMNS as PRICE_COLUMNS
from a3c_bench.evidence.reproducibility.proof import COLUMNS
from a3c_bench.report import aggregate
from a3c_bench.results.about import about_bytes
from a3c_bench.results.files import (
    BAD_INPUTS_ABOUT,
    FAULTS_ABOUT,
    PEERS_ABOUT,
    PROOF_ABOUT,
    SPEED_ABOUT,
    csv_bytes,
    json_bytes,
    model_path,
    sha256,
    train_folder,
    write_all,
)
from a3c_bench.stages import evaluate, profile, report, train
from a3c_bench.stages import machine as machine_stage


@pytest.fixture(autouse=True)
def untracked(workspace, monkeypatch):
    for stage in (train, evaluate, profile, report):
        monkeypatch.setattr(stage, "Tracker", MagicMock())


@pytest.fixture
def proof(workspace):
    """What other targets measured, as if on small params: the report shows it."""
    for name in ("reproducibility", "peers", "speed"):
        shutil.copytree(ROOT / "reports" / name, workspace / "reports" / name)
    for about in (PROOF_ABOUT, FAULTS_ABOUT, BAD_INPUTS_ABOUT, PEERS_ABOUT, SPEED_ABOUT):
        about.write_bytes(about_bytes("CartPole-v1", small_config().params(), "1234567"))


def results(folder):
    """Every file below models and reports, by path."""
    found = [path for top in ("models", "reports") for path in (folder / top).rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


@pytest.mark.parametrize("algorithm", ["nstep", "episodic"])
def test_training_and_evaluation_write_the_same_bytes_for_any_number_of_workers(
    algorithm, tmp_path, monkeypatch, capsys
):
    written = {}
    for workers in (1, 2, 3, 4, 7):
        folder = tmp_path / str(workers)
        folder.mkdir()
        monkeypatch.chdir(folder)
        train.run(small_config(workers=workers), algorithm, 0)
        evaluate.run(small_config(workers=workers), algorithm, 0)
        written[workers] = results(folder)
    assert len(written[1]) == 9
    for workers in (2, 3, 4, 7):
        assert written[workers] == written[1]
    said = capsys.readouterr().out
    assert "episode counter" in said
    assert "exit codes of the workers [0, 0]" in said


@pytest.fixture
def trained(workspace):
    config = small_config()
    train.run(config, "nstep", 0)
    return config


def test_the_files_of_training_agree_with_each_other(trained, workspace):
    folder = train_folder("nstep", 0)
    curve, updates, digests = (pd.read_csv(folder / name) for name in ("curve.csv", "updates.csv", "digests.csv"))
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["episodes"] == len(curve)
    assert metrics["turns"] == len(updates) == 8 * 80
    assert metrics["env_steps"] == updates["env_step"].iloc[-1] >= curve["env_step"].iloc[-1]
    assert curve["env_step"].is_monotonic_increasing
    assert curve["actor"].nunique() == 8
    assert metrics["mean_return_last_100"] == curve["return"].iloc[-100:].mean()
    assert digests["turn"].nunique() == 20
    last = digests[digests["turn"] == len(updates)].set_index("tensor")["sha256"]
    model = load_file(model_path("nstep", 0))
    assert {name: sha256(tensor.tobytes()) for name, tensor in model.items()} == last.to_dict()
    turns = sorted(digests["turn"].unique())
    for moment, turn in (("early", turns[0]), ("half", turns[9])):
        then = digests[digests["turn"] == turn].set_index("tensor")["sha256"]
        model = load_file(model_path("nstep", 0, moment))
        assert {name: sha256(tensor.tobytes()) for name, tensor in model.items()} == then.to_dict()


@pytest.mark.parametrize("damage", ["missing", "cut", "foreign", "renamed", "wide"])
def test_a_model_file_that_is_wrong_is_refused(trained, damage):
    path = model_path("nstep", 0)
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-10])
    elif damage == "foreign":
        path.write_bytes(b"\x80\x04not a model")
    elif damage == "renamed":
        save_file({name + "x": tensor for name, tensor in load_file(path).items()}, path)
    elif damage == "wide":
        save_file({name: tensor.astype(np.float64) for name, tensor in load_file(path).items()}, path)
    with pytest.raises(BadInputError, match=r"seed-0\.safetensors"):
        evaluate.run(trained, "nstep", 0)
    assert not Path("reports/evaluate").exists()


def test_evaluation_of_acrobot(workspace):
    config = small_config(env="Acrobot-v1", nstep={"total_steps": 800}, evaluate={"episodes": 3})
    train.run(config, "nstep", 0)
    evaluate.run(config, "nstep", 0)
    episodes = pd.read_csv("reports/evaluate/nstep/seed-0/episodes.csv")
    assert len(episodes) == 6
    assert (episodes["length"] <= 500).all()
    assert json.loads(Path("reports/evaluate/nstep/seed-0/metrics.json").read_text())["solved"] is False


def whole_pipeline(config):
    for algorithm in config.algorithms:
        for seed in config.seeds:
            train.run(config, algorithm, seed)
            evaluate.run(config, algorithm, seed)
    machine_stage.run(config)
    profile.run(config)
    report.run(config)


@pytest.mark.slow
def test_profile_and_report(workspace, proof, monkeypatch):
    config = small_config(seeds=[0, 3], workers=3)
    write_params(workspace, small_params(seeds=[0, 3], workers=3))
    whole_pipeline(config)

    points = pd.read_csv("reports/profile/points.csv")
    ours = points[points["algorithm"] != "textbook"]
    # The current point (3 workers) and one worker are in the grid whatever the params say.
    assert sorted(set(ours["workers"])) == [1, 2, 3]
    assert (ours[ours["workers"] == 1]["speedup"] == 1).all()
    assert (points["oversubscribed"] == (points["workers"] * points["threads"] > len(os.sched_getaffinity(0)))).all()
    shares = ours[[column for column in ours if column.startswith("share_")]]
    assert np.allclose(shares.sum(axis=1), 1)
    assert (shares >= 0).all(axis=None)
    assert len(pd.read_csv("reports/profile/samples.csv")) == len(points) * config.profile.repeats
    metrics = json.loads(Path("reports/profile/metrics.json").read_text())
    current = ours[(ours["workers"] == 3) & (ours["algorithm"] == "nstep")].iloc[0]
    assert metrics["nstep"]["env_steps_per_second"] == current["env_steps_per_second"]

    page = Path("reports/index.html").read_text()
    assert page.count("<svg xmlns") == 9 + 8  # each for a phone too, but that of other systems
    assert "http" not in page.replace("http://www.w3.org", "").replace("http://purl.org", "").replace(
        "http://creativecommons.org", ""
    ).replace("https://matplotlib.org", "")
    assert "3 *" in page
    speed = pd.read_csv("reports/speed/speed.csv")
    (floor,) = speed[(speed["algorithm"] == "nstep") & (speed["what"] == "1 worker ÷ floor")]["ratio"]
    assert f"Targets missed: nstep, 1 worker ÷ floor: {floor:.3f}, not 0.85;" in page
    steps = pd.read_csv("reports/peers/peers.csv", index_col="peer")["steps_to_solve"]
    ours, reference = steps["a3c-bench, 2 workers"], steps["Stable-Baselines3 PPO"]
    assert f"{ours:,.0f} ({ours / reference:.1f} ×)" in page
    price = pd.read_csv("reports/reproducibility/price.csv")
    one, two = price.loc[price["algorithm"] == "nstep", "ratio"][:2]
    written = Path("reports/README.md").read_text()
    assert f"`ordered` ÷ `hogwild`: {one:.3f} with 1 worker, {two:.3f} with 2 workers" in written
    summary = json.loads(Path("reports/report/summary.json").read_text())
    assert summary["nstep"]["seeds"] == 2
    assert summary["nstep"]["greedy_iqm_low"] <= summary["nstep"]["greedy_iqm"] <= summary["nstep"]["greedy_iqm_high"]

    first = results(workspace)
    report.run(config)
    assert results(workspace) == first, "the same data must give the same bytes"


@pytest.mark.slow
def test_a_report_on_one_seed_shows_no_interval_and_ignores_other_seeds(workspace, proof):
    config = small_config(algorithms=["nstep"])
    train.run(config, "nstep", 5)
    evaluate.run(config, "nstep", 5)
    whole_pipeline(config)
    summary = json.loads(Path("reports/report/summary.json").read_text())
    assert set(summary) == {"nstep"}
    assert summary["nstep"]["seeds"] == 1
    assert summary["nstep"]["greedy_iqm_low"] is None
    page = Path("reports/index.html").read_text()
    assert "no interval can be given" in page
    learning_and_evaluation = page[page.index('<h2 id="learning') : page.index('<h2 id="throughput')]
    assert "interval over seeds" not in learning_and_evaluation
    assert "band" not in learning_and_evaluation
    assert set(pd.read_csv("reports/report/seeds.csv")["seed"]) == {0}


@pytest.mark.slow
def test_a_training_without_a_finished_episode_is_reported(workspace):
    # A car that arrives nowhere drives on for 200 env steps; two rollouts have ten.
    config = small_config(env="MountainCar-v0", algorithms=["nstep"], nstep={"total_steps": 200}, seeds=[0, 1])
    whole_pipeline(config)
    assert len(pd.read_csv(train_folder("nstep", 0) / "curve.csv")) == 0
    page = Path("reports/index.html").read_text()
    assert "no finished episode yet" in Path("reports/figures/learning.svg").read_text()
    assert page.count("<svg xmlns") == 7 + 7
    learning = pd.read_csv("reports/report/learning.csv")
    assert learning[["iqm", "low", "high"]].isna().all(axis=None)
    assert Path("reports/report/summary.json").exists() and "| nstep |" in Path("reports/README.md").read_text()


def test_a_seed_without_a_finished_episode_does_not_cut_the_others_short(workspace, monkeypatch):
    ended = pd.DataFrame({"env_step": range(10, 2010, 10), "return": 1.0})
    curves = {0: ended, 1: pd.DataFrame({"env_step": [], "return": []}, dtype=object)}
    monkeypatch.setattr(aggregate, "read_curve", lambda folder: curves[int(folder.name[-1])])
    seeds, bands = aggregate.learning_tables(small_config(algorithms=["nstep"], seeds=[0, 1]))
    first, second = (seeds.loc[seeds["seed"] == seed, "mean_return"] for seed in (0, 1))
    assert bands["env_step"].max() == 2000 and first.iloc[-1] == 1
    assert second.isna().all() and bands["iqm"].isna().all()


@pytest.mark.slow
def test_parts_that_are_not_measured_yet_leave_a_note(workspace):
    config = small_config(algorithms=["nstep"])
    whole_pipeline(config)
    page = Path("reports/index.html").read_text()
    notes = re.findall(r"<p>[^<]*not (?:measured|filmed) yet[^<]*<code>([a-z@ -]+)</code>", page, re.IGNORECASE)
    assert notes == [
        "dvc repro film@nstep",
        "make proof",
        "make proof",
        "make proof",
        "make chaos",
        "make peers",
        "make speed",
        "make bench-proof",
    ]
    assert "Reproducibility" not in Path("reports/README.md").read_text()


def test_a_report_without_its_inputs_names_the_first_missing_one(workspace):
    with pytest.raises(BadInputError, match=r"reports/train/nstep/seed-0/metrics.json: cannot be read.*make repro"):
        report.run(small_config())


def test_canonical_bytes():
    assert csv_bytes(("a", "b"), [(1, 0.1), (np.int64(2), np.float64(1e-7)), (3, None)]) == b"a,b\n1,0.1\n2,1e-07\n3,\n"
    assert json_bytes({"b": 1, "a": None}) == b'{\n  "a": null,\n  "b": 1\n}\n'
    with pytest.raises(ValueError, match="JSON"):
        json_bytes(float("nan"))


def test_all_files_are_written_or_none(tmp_path):
    good, bad = tmp_path / "a" / "good.txt", tmp_path / "file" / "bad.txt"
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(BadInputError, match="cannot be written"):
        write_all({good: b"1", bad: b"2"})
    assert not list((tmp_path / "a").iterdir())
    write_all({good: b"1"})
    assert good.read_bytes() == b"1"
    assert stat.S_IMODE(good.stat().st_mode) & stat.S_IRUSR


@pytest.mark.slow
def test_the_report_shows_the_proof(workspace, proof):
    config = small_config()
    header = ",".join(COLUMNS)
    rows = [
        "nstep,reference,yes,yes,abcdefabcdef00,3,100,0.5,1000.0,1.0,",
        "nstep,workers 3,yes,no,bbcdefabcdef00,3,100,0.5,900.0,0.9,",
        "nstep,emulated CPU: Haswell,yes,,,0,100,,,,qemu-x86_64 is not installed",
        "nstep,hogwild,no,no,cbcdefabcdef00,3,100,1.0,1100.0,1.1,3 different results in 3 runs",
    ]
    folder = workspace / "reports" / "reproducibility"
    (folder / "proof.csv").write_text("\n".join([header, *rows]) + "\n")
    (folder / "price.csv").write_text(",".join(PRICE_COLUMNS) + "\nnstep,4,8,150,90.0,100.0,0.9,0.8,0.95\n")
    whole_pipeline(config)
    page, summary = (Path(f"reports/{name}").read_text() for name in ("index.html", "README.md"))
    assert "- nstep: the same bits under 1 of 2 conditions" in summary
    assert "under `hogwild`, 3 different results in 3 runs." in summary
    assert page.count('<td>nstep</td><td class="left wrap">workers 3</td><td>no</td>') == 1
    assert '<td class="left wrap">emulated CPU: Haswell</td><td>open</td>' in page
    assert "<td>no (contrast)</td>" in page
    assert "0.900 [0.800, 0.950]" in page
    assert "1234567" in page


@pytest.mark.slow
def test_the_report_fits_wherever_it_is_read(workspace, proof, tmp_path_factory):
    config = small_config()
    write_params(workspace, small_params())
    # As after the stages `film`, which needs a screen's libraries.
    Path("reports/film").mkdir()
    for algorithm in config.algorithms:
        shutil.copy(ROOT / "reports" / "film" / f"{algorithm}.webp", "reports/film")
    whole_pipeline(config)
    first = Path("reports/index.html").read_bytes()
    report.run(config)
    assert Path("reports/index.html").read_bytes() == first
    for width in (1400, 1200, 1000, 390):
        found = looked_at(Path("reports/index.html").absolute(), width, tmp_path_factory.mktemp("browser"))
        assert found["page"][0] <= found["page"][1], width
        assert found["broken"] == found["outside"] == []
        assert found["film"] and max(found["film"]) <= width
        if width > 640:
            assert found["scrolled"] == [], width
            assert found["hints"] == found["narrow"] == 0
            assert set(found["cards"]) == {1}
        else:
            assert found["hints"] >= len(found["scrolled"]) > 0
            assert found["narrow"] >= 7


def test_every_link_from_the_report_to_the_documentation_leads_somewhere():
    template = (ROOT / "src/a3c_bench/report/templates/report.html.j2").read_text()
    linked = re.findall(r'section\("[^"]+", "[^"]+", "([^"#]+)#?([^"]*)"\)', template)
    assert len(linked) == len(re.findall(r"{{ section\(", template)) > 5
    for page, anchor in linked:
        headings = re.findall(r"^#+ (.*)", (ROOT / "docs" / page).read_text(), re.MULTILINE)
        assert not anchor or anchor in {re.sub(r"[^a-z0-9 -]", "", one.lower()).replace(" ", "-") for one in headings}


def test_a_dark_film_stays_and_a_bright_one_takes_the_pages_colours():
    def film(grey):
        buffer = io.BytesIO()
        Image.new("L", (30, 20), grey).save(buffer, "WEBP")
        return buffer.getvalue()

    assert report.is_bright(film(250))
    assert not report.is_bright(film(10))


def test_a_curve_is_a_line_in_its_box():
    curve = pd.DataFrame({"env_step": [0, 50, 100], "mean_return": [np.nan, 10.0, 30.0]})
    assert report.sparkline(curve) == "50.0,20.0 100.0,0.0"
    assert report.sparkline(curve[:1]) == ""
