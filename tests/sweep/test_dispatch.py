"""Which node makes which cell, with nodes that are made up: what is lost, refused, failed and audited."""

import pytest

from a3c_bench.errors import BadInputError, TrainingError
from a3c_bench.sweep import dispatch, run
from a3c_bench.sweep.cells import Cell
from a3c_bench.sweep.dispatch import Dispatch, Job, Verdict
from a3c_bench.sweep.identity import difference, identity, pinned
from a3c_bench.sweep.node import Outcome

CELLS = [Cell(number, "nstep", number) for number in range(6)]


class Nodes:
    """Each does in a moment what it is told to do; the one that was started first ends first."""

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

    def made_by(self, node):
        return [number for name, number in self.log if name == node]


def right(nodes, node, cell):
    return Outcome("made", "", {"model": b"%d" % cell.seed}, "a CPU")


def wrong(nodes, node, cell):
    return Outcome("made", "", {"model": b"wrong"}, "another CPU")


def lost(nodes, node, cell):
    del nodes.behaviour[node]
    return Outcome("lost", "it is gone")


def old(nodes, node, cell):
    return Outcome("refused", "numpy is 1.0 in place of 2.0")


def failing(nodes, node, cell):
    return Outcome("failed", "loss is not finite", cpu="a bad CPU")


def made(nodes, jobs=None, audited=(), patience=0.0):
    """The last verdict of every cell, and the dispatch."""
    dispatched = Dispatch(nodes, jobs or map(Job, CELLS), audited, patience)
    return {verdict.cell: verdict for verdicts in dispatched.verdicts() for verdict in verdicts}, dispatched


def told(found):
    """What the summary takes, cell by cell, and whether all went well."""
    summary = run.Summary(len(found))
    taken = [summary.add(found[cell]) for cell in sorted(found)]
    try:
        summary.conclude()
    except TrainingError:
        return taken, False
    return taken, True


@pytest.fixture(autouse=True)
def in_no_time(monkeypatch):
    monkeypatch.setattr(dispatch, "POLL_SECONDS", 0.01)


def test_every_cell_is_made_once_and_by_all_nodes():
    nodes = Nodes(a=right, b=right)
    found, _ = made(nodes)
    assert list(found) == CELLS and told(found)[1]
    assert {node for node, _ in nodes.log} == {"a", "b"} and len(nodes.log) == 6


def test_what_was_on_a_lost_node_is_made_on_another(capsys):
    found, _ = made(Nodes(a=right, b=lost))
    assert found.keys() == set(CELLS) and all(verdict.agreed.node == "a" for verdict in found.values())
    assert "b lost cell 1 (nstep seed 1: it is gone); another node makes it" in capsys.readouterr().err


def test_a_node_that_is_refused_gets_no_more(capsys):
    nodes = Nodes(a=right, b=old)
    assert all(verdict.agreed.node == "a" for verdict in made(nodes)[0].values())
    assert len(nodes.made_by("b")) == 1
    assert "b is refused: numpy is 1.0 in place of 2.0" in capsys.readouterr().err
    with pytest.raises(BadInputError, match=r"no node matches this machine: on b numpy is 1.0"):
        made(Nodes(b=old))


def test_a_node_that_is_refused_does_not_end_what_a_lost_one_began(capsys):
    found, _ = made(Nodes(a=lost, b=old), patience=0.05)
    taken, good = told(found)
    assert taken == [None] * 6 and not good
    assert "no other node is there to make it; b is refused: numpy" in capsys.readouterr().err


def test_a_cell_that_fails_on_one_node_is_tried_on_another(capsys):
    nodes = Nodes(a=failing, b=right)
    found, _ = made(nodes)
    assert all(verdict.agreed.node == "b" for verdict in found.values()) and told(found)[1]
    assert "cell 0 (nstep seed 0) failed on a: loss is not finite; another node tries it" in capsys.readouterr().err


def test_a_cell_that_fails_on_two_is_not_tried_again(capsys):
    nodes = Nodes(a=failing, b=failing, c=failing)
    taken, good = told(made(nodes)[0])
    assert taken == [None] * 6 and not good and len(nodes.log) == 12
    assert "cell 0 (nstep seed 0) is not made: on b loss is not finite" in capsys.readouterr().err


def test_an_audit_is_made_by_another_node():
    nodes = Nodes(a=right, b=right)
    found, _ = made(nodes, audited=CELLS)
    assert len(nodes.log) == 12 and told(found)[1]
    assert all({one.node for one in verdict.made} == {"a", "b"} for verdict in found.values())


def test_a_third_node_says_which_of_two_is_wrong_and_that_makes_nothing_more(capsys):
    nodes = Nodes(wrong=wrong, a=right, b=right)
    found, dispatched = made(nodes, audited=CELLS[3:4])
    said = capsys.readouterr().err
    # It made cell 0 alone, and then was one of the two for cell 3, or never was: the order is fixed.
    assert "wrong" in {one.node for one in found[CELLS[3]].made}
    assert "differs between" in said and "until a third node has made it, neither gets another" in said
    assert dispatched.trust.suspects == {"wrong"}
    assert all(verdict.agreed.files == {"model": b"%d" % cell.seed} for cell, verdict in found.items())
    taken, good = told(found)
    assert None not in taken and not good
    assert "is right by a and b; wrong, another CPU, computes something else" in capsys.readouterr().err


def test_two_that_differ_and_no_third_are_not_taken_and_what_they_made_alone_is_told(capsys):
    nodes = Nodes(a=right, wrong=wrong)
    found, dispatched = made(nodes, audited=CELLS[4:5])
    assert found[CELLS[4]].agreed is None and dispatched.trust.suspects == {"a", "wrong"}
    assert nodes.made_by("wrong")[-1] == 4 or nodes.made_by("a")[-1] == 4
    assert not told(found)[1]
    run.Summary.doubts(dispatched.trust)
    said = capsys.readouterr().err
    assert "cell 4 (nstep seed 4) by" in said and "is not confirmed: no other node is there" in said
    assert "a made these alone" in said and "dvc repro --force --single-item train@nstep-0 evaluate@nstep-0" in said


def test_an_audit_that_fails_is_no_confirmation(capsys):
    found, _ = made(Nodes(a=right, b=failing), [Job(CELLS[0])], CELLS)
    assert told(found) == ([None], False)
    assert "by a is not confirmed: on b, a bad CPU, loss is not finite" in capsys.readouterr().err


def test_what_is_there_already_is_audited_by_another_node_than_its_maker():
    before = Job(CELLS[0], (right(None, None, CELLS[0]),), avoid=frozenset("a"))
    found, _ = made(Nodes(a=right, c=wrong), [before], CELLS)
    assert found[CELLS[0]].differing == ["model"] and found[CELLS[0]].agreed is None
    found, _ = made(Nodes(a=right, c=right), [before], CELLS)
    assert found[CELLS[0]].made[1].node == "c" and told(found)[1]


def test_without_another_node_an_audit_is_not_made_and_says_so(capsys):
    found, _ = made(Nodes(a=right), audited=CELLS[:1])
    taken, good = told(found)
    assert None not in taken and not good
    assert "cell 0 (nstep seed 0) by a is not confirmed: no other node is there" in capsys.readouterr().err


def test_three_that_differ_are_told(capsys):
    three = tuple(Outcome("made", "", {"model": name.encode()}, "a CPU", name) for name in "abc")
    assert told({CELLS[0]: Verdict(CELLS[0], three)}) == ([None], False)
    assert "differs on all of a, b, c" in capsys.readouterr().err


def test_audited_cells_are_chosen_by_the_seed():
    assert len(run.chosen(CELLS, 0.1, 0)) == 1 and run.chosen(CELLS, 0.0, 0) == []
    assert run.chosen(CELLS, 0.5, 3) == run.chosen(CELLS, 0.5, 3)
    assert len({tuple(run.chosen(CELLS, 0.5, seed)) for seed in range(20)}) > 5


def test_what_differs_between_machines_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    package, module = tmp_path / "package", tmp_path / "mine.py"
    package.mkdir()
    (package / "a.py").write_text("one")
    module.write_text("one")
    arguments = (["numpy", "nowhere"], ["mine"], package)
    here = identity(*arguments)
    assert here["nowhere"] == "missing" and not difference(here, identity(*arguments))
    module.write_text("other")
    assert difference(here, identity(*arguments)) == "mine.py differs"
    module.unlink()
    assert difference(here, identity(*arguments)) == "mine.py is missing"
    (package / "a.py").write_text("other")
    (package / "kernels.c").write_text("new")
    there = {**identity(*arguments), "numpy": "1.0", "Python": "3.10.0"}
    words = (
        f"Python is 3.10.0 in place of {here['Python']}, numpy is 1.0 in place of {here['numpy']}, mine.py is missing"
    )
    assert difference(here, there) == f"{words}, and 2 more"
    (tmp_path / "lock").write_text("# a comment\nnumpy==2.4.6\n    # via x\ntorch==2.13.0\n")
    assert pinned(tmp_path / "lock") == ["numpy", "torch"] and pinned(tmp_path / "none") == []
