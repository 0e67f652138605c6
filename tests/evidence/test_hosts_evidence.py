"""The tables and the page of several hosts: what is made again, what is compared, what is shown."""

import itertools

import numpy as np
import pandas as pd
import pytest
from conftest import small_config

from a3c_bench.evidence.hosts import bits, costs, faults, page, strikes
from a3c_bench.evidence.hosts import cases as module
from a3c_bench.evidence.hosts.cases import Cases
from a3c_bench.report import hosts as report

KEY = ("what", "number")


def test_what_was_interrupted_goes_on_where_it_was(tmp_path, monkeypatch):
    path = tmp_path / "cases.csv"
    cases = Cases(path, (*KEY, "value", "note"), KEY, {"workers": 2})
    cases.add({"what": "a", "number": 1, "value": 0.5, "note": ""})
    again = Cases(path, (*KEY, "value", "note"), KEY, {"workers": 2})
    assert again.has("a", 1) and not again.has("a", 2)
    again.add({"what": "a", "number": 2, "value": None})
    assert [row["value"] for row in Cases(path, (*KEY, "value", "note"), KEY, {"workers": 2}).rows] == [0.5, None]
    assert not Cases(path, (*KEY, "value", "note"), KEY, {"workers": 3}).rows
    monkeypatch.setattr(module, "code_version", lambda: "another version of the code")
    assert not Cases(path, (*KEY, "value", "note"), KEY, {"workers": 2}).rows


def test_every_kind_of_fault_meets_every_algorithm_and_there_are_sixty_at_least():
    planned = list(itertools.islice(strikes.plan(), strikes.TIMES * len(faults.KINDS)))
    assert len(planned) >= 60
    pairs = {(kind, algorithm) for _, kind, algorithm in planned}
    assert pairs == set(itertools.product(faults.KINDS, strikes.UPDATES))
    assert len(set(planned)) == len(planned)


def test_cells_are_compared_with_the_lock_where_it_is_of_the_same_params():
    config = small_config()
    params = {key: value for key, value in config.params().items() if key in ("env", "nstep", "workers")}
    outputs = [{"path": "models/x", "md5": "1"}, {"path": "reports/y", "md5": "2"}]
    lock = {"train@nstep-0": {"params": {"params.yaml": {**params, "workers": 7}}, "outs": outputs}}
    assert bits.of_lock(lock, config, "nstep") == bits.digest({"reports/y": "2", "models/x": "1"})
    assert bits.of_lock(lock, config, "ppo") is None
    assert bits.of_lock(lock, small_config(nstep={"gamma": 0.5}), "nstep") is None


def test_a_kind_is_summed_up():
    rows = [(0, "a", "yes", "yes", 1.0), (1, "a", "yes", "no", 3.0), (2, "b", "no", "no", None)]
    table = pd.DataFrame(rows, columns=["number", "fault", "survived", "same", "noticed_seconds"])
    found = report.faults_by_kind(table).astype(object).to_numpy().tolist()
    assert found[0] == ["a", 2, 2, 1, 2.0, 3.0]
    assert found[1][:4] == ["b", 1, 0, 0]


def test_more_hosts_are_predicted_by_the_law_that_is_measured():
    hosts = np.array(costs.WAITING_HOSTS)
    rates = 50 * hosts / (1 + 0.02 * (hosts - 1)) * np.array([[0.99], [1.0], [1.01]])
    table = report.rates_by_hosts(pd.DataFrame(costs.rows(rates)))
    measured, predicted = report.speedups(table), report.predictions(table)
    assert [one["speedup"] for one in measured] == pytest.approx((hosts / (1 + 0.02 * (hosts - 1))).tolist())
    for one in predicted:
        assert one["speedup"] == pytest.approx(one["hosts"] / (1 + 0.02 * (one["hosts"] - 1)), rel=0.02)
        assert one["low"] <= one["speedup"] * 1.001 and one["high"] >= one["speedup"] * 0.999
        assert one["predicted"] and one["hosts"] > max(hosts)


def write_tables():
    same = {"files": 7, "sha256": "x", "note": ""}
    proof = Cases(report.BITS, bits.COLUMNS, bits.KEY, {})
    for hosts, answer in ((1, "yes"), (2, "yes"), (3, "no")):
        row = {"training": "CartPole-v1", "algorithm": "ppo", "hosts": hosts, "workers": 2, "same": answer, **same}
        proof.add({**row, "compared_with": "one host"})
    struck = Cases(report.FAULTS, strikes.COLUMNS, ("number",), {})
    struck.add({"number": 0, "fault": "kill a host", "survived": "yes", "same": "yes", "noticed_seconds": 4.25})
    compared = dict(zip(costs.COMPARED, (1000.0, 800.0, 0.8, 0.79, 0.81, 512.0, 3), strict=True))
    Cases(report.COSTS, ("algorithm", *costs.COMPARED), ("algorithm",), {}).add({"algorithm": "nstep", **compared})
    sizes = Cases(report.SIZES, ("hidden", "message_bytes", *costs.COMPARED), ("hidden",), {})
    sizes.extend([{"hidden": str(size), "message_bytes": 1024 * size, **compared} for size in (1, 4)])
    rates = np.array([[10.0, 19.0, 28.5, 37.0], [10.2, 19.2, 28.4, 37.1]])
    Cases(report.SCALING, ("hosts", "slice", "turns_per_second"), ("hosts", "slice"), {}).extend(costs.rows(rates))


def test_the_page_shows_what_there_is(workspace, capsys):
    write_tables()
    page.write()
    text = (report.OUT / "index.html").read_text()
    for words in ("NOT the same", "kill a host", "4.25", "0.800", "250", "512", "a prediction"):
        assert words in text, words
    assert "Not measured yet" not in text
    assert "not measured: USL fit" in text
    assert "1 of 2 trainings over hosts have the bits of one" in capsys.readouterr().out
    assert (report.OUT / "README.md").read_text().count("a prediction") == len(report.PREDICTED_HOSTS)


def test_the_page_says_what_is_not_measured(workspace):
    page.write()
    text = (report.OUT / "index.html").read_text()
    assert text.count("make proof-hosts") == text.count("make cost-hosts") == 2
