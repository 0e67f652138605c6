"""The command on small repositories with benchmarks of their own."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from typing import NamedTuple

import psutil
import pytest
from conftest import environment

SUITE = """
import os
import time

import pytest

pytestmark = pytest.mark.slow


def work(calls, name):
    start = time.perf_counter()
    total = sum(range(calls))
    with open({log!r}, "a") as file:
        print(start, time.perf_counter(), name, os.getpid(), *os.sched_getaffinity(0), file=file)
    return total


@pytest.mark.benchmark(group="sums")
@pytest.mark.parametrize("name", {names!r})
def test_sum(name, benchmark):
    if name == "two":
        benchmark.extra_info["workers"] = 2
    benchmark.pedantic(work, args=({calls}, name), rounds=5, warmup_rounds=1)
"""


class Round(NamedTuple):
    start: float
    end: float
    name: str
    process: int
    cores: tuple[str, ...]


class Repository:
    def __init__(self, folder):
        self.folder = folder
        self.log = folder.parent / "rounds.txt"
        self.git("init", "--quiet", "--initial-branch=main")
        self.git("config", "user.email", "nobody@example.org")
        self.git("config", "user.name", "nobody")

    def git(self, *arguments):
        return subprocess.run(["git", *arguments], cwd=self.folder, check=True, capture_output=True, text=True).stdout

    def commit(self, **files):
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message=a commit")

    def suite(self, calls=20_000, names=("one", "two")):
        folder = self.folder / "tests" / "benchmarks"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "test_tiny.py").write_text(SUITE.format(log=str(self.log), names=list(names), calls=calls))
        self.commit()

    def start(self, *arguments):
        command = [sys.executable, "-m", "a3c_bench", "bench-check", *arguments]
        return subprocess.Popen(
            command, cwd=self.folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def check(self, *arguments):
        with self.start(*arguments) as process:
            output = process.communicate(timeout=200)[0]
        return process.returncode, output

    def verdicts(self):
        content = json.loads((self.folder / "bench-check" / "verdicts.json").read_text())
        return {comparison["name"].rpartition("::")[2]: comparison["verdict"] for comparison in content["comparisons"]}

    def timed_rounds(self):
        """In the order of their start; a process's first round of a benchmark is a warm-up, which takes no turn."""
        seen, rounds = set(), []
        for line in self.log.read_text().splitlines():
            start, end, name, process, *cores = line.split()
            if (name, process) in seen:
                rounds.append(Round(float(start), float(end), name, int(process), tuple(sorted(cores))))
            seen.add((name, process))
        return sorted(rounds)

    def assert_clean(self):
        assert len(self.git("worktree", "list").splitlines()) == 1
        assert not (self.folder / ".git" / "worktrees").exists()


@pytest.fixture
def repository(tmp_path):
    (tmp_path / "repository").mkdir()
    return Repository(tmp_path / "repository")


@pytest.mark.slow
def test_a_slower_commit_fails_and_the_reports_tell(repository):
    repository.suite(names=("one",))
    repository.suite(names=("one",), calls=400_000)
    code, output = repository.check("--base", "HEAD~1")
    assert code == 1, output
    assert set(repository.verdicts().values()) == {"slower"}
    assert "| sum one | slower |" in (repository.folder / "bench-check" / "summary.md").read_text()
    assert (repository.folder / "bench-check" / "ratios.png").stat().st_size > 1000
    repository.assert_clean()


@pytest.mark.slow
def test_of_two_revisions_only_one_runs_at_a_time(repository):
    repository.suite()
    repository.check("--base", "HEAD", "--budget", "5")
    timed = repository.timed_rounds()
    assert len(timed) >= 2 * 2 * 5
    assert all(first.end <= second.start for first, second in itertools.pairwise(timed))


@pytest.mark.slow
def test_what_uses_one_core_is_timed_on_the_same_core_in_both(repository):
    repository.suite()
    repository.check("--base", "HEAD", "--budget", "5")
    everywhere = tuple(map(str, sorted(os.sched_getaffinity(0))))
    bound = {(one.name, one.process): one.cores for one in repository.timed_rounds()}
    assert {cores for (name, _), cores in bound.items() if name == "two"} == {everywhere}
    # Processes start in pairs, so their ids follow each other.
    pairs = [cores for (name, _), cores in sorted(bound.items()) if name == "one"]
    assert len(pairs) >= 2
    assert all(len(first) == 1 and first == second for first, second in zip(pairs[::2], pairs[1::2], strict=True))


@pytest.mark.slow
def test_a_benchmark_that_is_gone_fails(repository):
    repository.suite()
    repository.suite(names=("one", "three"))
    code, output = repository.check("--base", "HEAD~1", "--budget", "10")
    assert code == 1, output
    assert repository.verdicts()["test_sum[two]"] == "missing"
    assert repository.verdicts()["test_sum[three]"] == "new"


@pytest.mark.parametrize("arguments", [(), ("--base", "HEAD~1")])
def test_documents_alone_are_not_timed(repository, arguments):
    repository.suite()
    repository.git("checkout", "--quiet", "-b", "change")
    (repository.folder / "README.md").write_text("More words.\n")
    repository.commit()
    code, output = repository.check(*arguments)
    assert code == 0
    assert "only documents changed (1 files)" in output


def test_without_a_change_nothing_is_timed(repository):
    repository.suite()
    code, output = repository.check()
    assert code == 0
    assert "nothing changed since" in output


def test_bad_bases_are_named_in_one_line(repository):
    (repository.folder / "code.py").write_text("")
    repository.commit()
    repository.suite()
    for arguments, said in {
        ("--base", "HEAD~1"): "has no benchmarks in tests/benchmarks",
        ("--base", "nowhere"): "base: 'nowhere' is not a commit here",
    }.items():
        code, output = repository.check(*arguments)
        assert code == 2
        assert said in output
        assert len(output.splitlines()) == 1
    repository.assert_clean()


def test_a_dirty_worktree_is_refused(repository):
    repository.suite()
    path = repository.folder / "tests" / "benchmarks" / "test_tiny.py"
    path.write_text(path.read_text() + "\n")
    code, output = repository.check("--base", "HEAD")
    assert code == 2
    assert output.splitlines() == [
        "a3c-bench: tests/benchmarks/test_tiny.py: 1 file(s) are not committed; commit or stash them first"
    ]


def test_results_made_anew_do_not_stand_in_the_way(repository):
    for name in ("dvc.lock", "reports/table.csv"):
        path = repository.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("made on one machine")
    repository.commit()
    repository.suite()
    for name in ("dvc.lock", "reports/table.csv"):
        (repository.folder / name).write_text("made on another")
    code, output = repository.check()
    assert code == 0
    assert "nothing changed since" in output


@pytest.mark.slow
def test_a_failing_benchmark_is_named_in_one_line(repository):
    repository.suite(calls="'many'")
    code, output = repository.check("--base", "HEAD")
    assert code == 2
    assert "a benchmark failed" in output
    assert "TypeError" in output
    repository.assert_clean()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_leaves_nothing(repository, number):
    repository.suite()
    with repository.start("--base", "HEAD") as process:
        while not repository.log.exists():
            time.sleep(0.05)
            assert process.poll() is None
        children = psutil.Process(process.pid).children(recursive=True)
        assert children
        os.kill(process.pid, number)
        output = process.communicate(timeout=30)[0]
    assert process.returncode == 128 + number, output
    psutil.wait_procs(children, timeout=10)
    assert not any(child.is_running() for child in children)
    repository.assert_clean()


OTHERS = """
import fast


def test_plain(benchmark):
    assert benchmark(fast.total, {calls}) > 0


def test_no_benchmark():
    raise AssertionError("it would be run")
"""


@pytest.mark.slow
def test_another_projects_suite_is_timed_with_its_own_layout_and_rounds(repository):
    """A package beside its tests, and benchmarks that leave their rounds to pytest-benchmark."""
    for name, text in {
        "fast/__init__.py": "def total(calls):\n    return sum(range(calls))\n",
        "tests/conftest.py": "",
    }.items():
        path = repository.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    suite = repository.folder / "tests" / "test_speed.py"
    for calls in (2_000, 8_000):
        suite.write_text(OTHERS.format(calls=calls))
        repository.commit()
    command = [sys.executable, "-m", "a3c_bench.gate", "--base", "HEAD~1", "--output", "judged"]
    result = subprocess.run(
        command, cwd=repository.folder, env=environment(), capture_output=True, text=True, check=False
    )
    assert result.returncode == 1, result.stdout + result.stderr
    (comparison,) = json.loads((repository.folder / "judged" / "verdicts.json").read_text())["comparisons"]
    assert (comparison["name"], comparison["verdict"]) == ("tests/test_speed.py::test_plain", "slower")
    assert 2 < comparison["ratio"] < 8
    assert len(comparison["ratios"]) == comparison["pairs"]
    repository.assert_clean()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--base", "HEAD", "--prepare", "echo no compiler; exit 3"], "prepare: 'echo no compiler; exit 3' failed"),
        (["--base", "HEAD", "--benchmarks", "nowhere"], "has no benchmarks in nowhere"),
        (["--base", "HEAD", "--select", "three"], "no benchmark has 'three' in its name, say test_sum[one]"),
        (["--base", "HEAD", "--budget", "0"], "--budget: 0 is not more than 0 seconds"),
    ],
)
def test_what_cannot_be_judged_is_said(repository, arguments, said):
    repository.suite()
    command = [sys.executable, "-m", "a3c_bench.gate", *arguments]
    result = subprocess.run(
        command, cwd=repository.folder, env=environment(), capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert said in result.stderr
    repository.assert_clean()


def test_it_starts_without_the_packages_that_only_the_rest_needs():
    heavy = "gymnasium", "pydantic", "rich", "typer", "scipy", "mlflow", "torch", "matplotlib"
    code = f"import sys; sys.modules.update(dict.fromkeys({heavy!r})); import a3c_bench.gate.__main__"
    subprocess.run([sys.executable, "-c", code], env=environment(), check=True)
