"""Which node makes which cell, with nodes that are made up: what is lost, refused, failed and audited."""

import pytest

from a3c_bench.errors import BadInputError, TrainingError
from a3c_bench.sweep import dispatch, run
from a3c_bench.sweep.cells import Cell
from a3c_bench.sweep.dispatch import Dispatch, Job
from a3c_bench.sweep.identity import difference, identity, pinned
from a3c_bench.sweep.node import Outcome

CELLS = [Cell(number, "nstep", number) for number in range(6)]


class Nodes:
    """Each does in a moment what it is told to do."""

    def __init__(self, **behaviour):
        self.behaviour, self.running, self.log = behaviour, [], []

    def nodes(self):
        return dict.fromkeys(self.behaviour, 1)

    def start(self, node, cell):
        assert node in self.behaviour and node not in [node for node, _ in self.running]
        self.running.append((node, cell))
        self.log.append((node, cell.number))

    def wait(self, seconds):
        for node, cell in self.running[:1]:
            self.running.remove((node, cell))
            yield node, cell, self.behaviour[node](self, node, cell)


def right(nodes, node, cell):
    return Outcome("made", "", {"model": b"%d" % cell.seed}, "a CPU")


def wrong(nodes, node, cell):
    return Outcome("made", "", {"model": b"wrong"}, "another CPU")


def lost(nodes, node, cell):
    del nodes.behaviour[node]
    return Outcome("lost", "it is gone")


def old(nodes, node, cell):
    return Outcome("refused", "numpy is 1.0 in place of 2.0")


def made(nodes, jobs=None, audited=(), patience=0.0):
    dispatched = Dispatch(nodes, jobs or map(Job, CELLS), audited, patience)
    return {verdict.cell: verdict for verdicts in dispatched.verdicts() for verdict in verdicts}


def test_every_cell_is_made_once_and_by_all_nodes():
    nodes = Nodes(a=right, b=right)
    assert list(made(nodes)) == CELLS
    assert {node for node, _ in nodes.log} == {"a", "b"} and len(nodes.log) == 6


def test_what_was_on_a_lost_node_is_made_on_another(capsys):
    nodes = Nodes(a=right, b=lost)
    found = made(nodes)
    assert found.keys() == set(CELLS) and all(verdict.outcome.node == "a" for verdict in found.values())
    assert "b lost cell 1 (nstep seed 1: it is gone); it is made on another node" in capsys.readouterr().err


def test_a_node_that_is_refused_gets_no_more(capsys):
    nodes = Nodes(a=right, b=old)
    assert all(verdict.outcome.node == "a" for verdict in made(nodes).values())
    assert [node for node, _ in nodes.log].count("b") == 1
    assert "b is refused: numpy is 1.0 in place of 2.0" in capsys.readouterr().err
    with pytest.raises(BadInputError, match=r"no node is left that is as this machine is: on b numpy is 1.0"):
        made(Nodes(b=old))


def test_a_cell_that_fails_is_not_tried_again():
    nodes = Nodes(a=lambda *_: Outcome("failed", "loss is not finite"))
    assert {verdict.outcome.why for verdict in made(nodes).values()} == {"loss is not finite"}
    assert len(nodes.log) == 6


def test_an_audit_is_made_by_another_node_and_finds_what_differs():
    nodes = Nodes(a=right, b=right, c=wrong)
    found = made(nodes, audited=CELLS)
    assert len(nodes.log) == 12
    for verdict in found.values():
        pair = {verdict.outcome.node, verdict.audit.node}
        assert len(pair) == 2 and verdict.differing == (["model"] if "c" in pair else [])
    assert any(verdict.differing for verdict in found.values())


def test_what_is_there_already_is_audited_by_any_node():
    (verdict,) = made(Nodes(c=wrong), [Job(CELLS[0], right(None, None, CELLS[0]))], CELLS).values()
    assert verdict.differing == ["model"] and verdict.audit.node == "c"


def test_without_another_node_an_audit_is_not_made_and_says_so(monkeypatch, capsys):
    monkeypatch.setattr(dispatch, "POLL_SECONDS", 0.01)
    found = made(Nodes(a=right), audited=CELLS[:1])
    summary = run.Summary(len(found))
    assert [summary.add(found[cell]) for cell in CELLS] == [True] * 6
    assert "cell 0 (nstep seed 0) is not audited: no other node is there" in capsys.readouterr().err
    with pytest.raises(TrainingError, match="1 of 6 cells are not as they should be"):
        summary.conclude()


def test_a_difference_names_cell_nodes_and_cpus_and_what_else_the_nodes_made(capsys):
    found = made(Nodes(a=right, c=wrong), audited=CELLS[:1])
    summary = run.Summary(6)
    assert [summary.add(found[cell]) for cell in CELLS] == [False, *[True] * 5]
    with pytest.raises(TrainingError):
        summary.conclude()
    said = capsys.readouterr().err
    assert "cell 0 (nstep seed 0) differs between a, a CPU, and c, another CPU: model" in said
    assert "c also made these cells, of which nothing is known: " in said


def test_audited_cells_are_chosen_by_the_seed():
    assert len(run.chosen(CELLS, 0.1, 0)) == 1 and run.chosen(CELLS, 0.0, 0) == []
    assert run.chosen(CELLS, 0.5, 3) == run.chosen(CELLS, 0.5, 3)
    assert len({tuple(run.chosen(CELLS, 0.5, seed)) for seed in range(20)}) > 5


def test_what_differs_between_machines_is_named(tmp_path):
    (tmp_path / "a.py").write_text("one")
    here = identity(["numpy", "nowhere"], tmp_path)
    assert here["nowhere"] == "missing" and not difference(here, identity(["numpy", "nowhere"], tmp_path))
    (tmp_path / "a.py").write_text("other")
    (tmp_path / "kernels.c").write_text("new")
    there = {**identity(["numpy", "nowhere"], tmp_path), "numpy": "1.0", "Python": "3.10.0"}
    words = f"Python is 3.10.0 in place of {here['Python']}, numpy is 1.0 in place of {here['numpy']}, a.py differs"
    assert difference(here, there) == f"{words}, and 1 more"
    (tmp_path / "lock").write_text("# a comment\nnumpy==2.4.6\n    # via x\ntorch==2.13.0\n")
    assert pinned(tmp_path / "lock") == ["numpy", "torch"] and pinned(tmp_path / "none") == []
