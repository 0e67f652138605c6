"""Networks in torch: against the kernels' network, and on the promises that every network keeps."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from conftest import ROOT, environment
from hypothesis import given, settings
from hypothesis import strategies as st

from a3c_bench.errors import BadInputError
from a3c_bench.networks import torch_module
from a3c_bench.networks.base import Layout
from a3c_bench.networks.dense import DenseArchitecture
from a3c_bench.networks.torch_module import NetworkError, TorchArchitecture
from a3c_bench.networks.torch_trial import finding

DENSE = "examples.networks.dense:Dense"
MINATAR = "examples.networks.minatar:Convolutional"


def made(target=DENSE, shape=(4,), outputs=3, **others):
    return TorchArchitecture(target, shape, outputs, **others)


def drawn(generator, *shape):
    return generator.normal(size=shape).astype(np.float32)


def learned(architecture, flat, observations, by_outputs, by_values):
    """Outputs, values and the gradient."""
    rows, gradient = architecture.rows(len(observations)), np.zeros_like(flat)
    rows.observations[:] = observations
    network = architecture.bind(flat)
    network.forward(rows, 0, len(observations))
    network.backward(rows, by_outputs, by_values, gradient)
    return rows.outputs, rows.values, gradient


@settings(deadline=None, max_examples=25)
@given(
    rows=st.integers(1, 70),
    inputs=st.integers(1, 9),
    hidden=st.lists(st.integers(1, 40), min_size=1, max_size=3),
    outputs=st.integers(1, 6),
    free=st.integers(0, 3),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_dense_example_is_the_dense_network(rows, inputs, hidden, outputs, free, seed):
    generator = np.random.default_rng(seed)
    kernels = DenseArchitecture(inputs, outputs + free, tuple(hidden), "tanh", free_outputs=free)
    theirs = made(shape=(inputs,), outputs=outputs + free, free_outputs=free, kwargs=f'{{"hidden": {hidden}}}')
    flat, other = kernels.initial(generator), np.zeros(theirs.layout.size, np.float32)
    kernels.layout.tensors(flat)["actor.bias"][outputs:] = drawn(generator, free)

    def as_theirs(tensors):
        """Weights are the other way round in torch, and the free outputs stand apart."""
        bias, weight = tensors["actor.bias"], tensors["actor.weight"]
        split = {**tensors, "actor.bias": bias[:outputs], "actor.weight": weight[:, :outputs]}
        return {**{name: tensor.T for name, tensor in split.items()}, "free_outputs": bias[outputs:]}

    for name, tensor in theirs.layout.tensors(other).items():
        tensor[...] = as_theirs(kernels.layout.tensors(flat))[name]
    given_ = drawn(generator, rows, inputs), drawn(generator, rows, outputs + free), drawn(generator, rows)
    ours, found = learned(kernels, flat, *given_), learned(theirs, other, *given_)
    for mine, one in zip(ours[:2], found[:2], strict=True):
        np.testing.assert_allclose(one, mine, rtol=1e-4, atol=2e-5)
    expected, scale = as_theirs(kernels.layout.tensors(ours[2])), np.abs(ours[2]).max()
    for name, tensor in theirs.layout.tensors(found[2]).items():
        np.testing.assert_allclose(tensor / scale, expected[name] / scale, rtol=1e-4, atol=5e-6)


def test_its_layout_is_that_of_the_named_parameters():
    assert made(MINATAR, (10, 10, 4), 8, free_outputs=2).layout == Layout(
        {
            "filters.weight": (16, 4, 3, 3),
            "filters.bias": (16,),
            "hidden.weight": (128, 1024),
            "hidden.bias": (128,),
            "actor.weight": (6, 128),
            "actor.bias": (6,),
            "critic.weight": (1, 128),
            "critic.bias": (1,),
            "free_outputs": (2,),
        }
    )


def test_first_parameters_hang_on_the_seed_and_leave_torchs_generator_alone():
    before = torch.get_rng_state()
    first, again, other = (made().initial(np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)
    assert not made(outputs=5, free_outputs=2).initial(np.random.default_rng(0))[-2:].any()
    assert (made(outputs=5, free_outputs=2, free_start=-1.5).initial(np.random.default_rng(0))[-2:] == -1.5).all()


def test_it_reads_its_parameters_where_they_are():
    flat, rows = made().initial(np.random.default_rng(0)), made().rows(2)
    network = made().bind(flat)
    rows.observations[:] = 1
    network.forward(rows, 0, 2)
    before = rows.outputs.copy()
    flat[:] = made().initial(np.random.default_rng(1))
    network.forward(rows, 0, 2)
    assert not np.array_equal(before, rows.outputs)
    flat[:] = made().initial(np.random.default_rng(0))
    network.forward(rows, 0, 2)
    assert np.array_equal(before, rows.outputs)


@pytest.mark.parametrize("target", [DENSE, "examples.networks.dense:Normalised", "odd_networks:Tied"])
def test_a_gradient_is_the_same_whether_all_rows_were_computed_at_once_or_not(target):
    architecture, generator = made(target), np.random.default_rng(0)
    flat, observations = architecture.initial(generator), drawn(generator, 6, 4)
    by_outputs, by_values, gradient = drawn(generator, 6, 3), drawn(generator, 6), np.zeros_like(flat)
    _, _, expected = learned(architecture, flat, observations, by_outputs, by_values)
    rows = architecture.rows(9)
    rows.observations[:6] = observations
    network = architecture.bind(flat)
    for start in (0, 3):
        network.forward(rows, start, start + 3)
    network.backward(rows, by_outputs, by_values, gradient)
    assert np.array_equal(gradient, expected)
    network.backward(rows.part(0, 6), by_outputs, by_values, gradient)
    assert np.array_equal(gradient, expected)


def test_where_parameters_lie_does_not_change_the_bits():
    architecture, generator = made(MINATAR, (10, 10, 4), 6), np.random.default_rng(0)
    flat, found = architecture.initial(generator), set()
    given_ = drawn(generator, 7, 400), drawn(generator, 7, 6), drawn(generator, 7)
    for shift in range(0, 17, 3):
        elsewhere = np.zeros(flat.size + 17, np.float32)[shift : shift + flat.size]
        elsewhere[:] = flat
        found.add(b"".join(array.tobytes() for array in learned(architecture, elsewhere, *given_)))
    assert len(found) == 1


def test_threads_share_rows_and_no_module():
    """The module keeps in an attribute what another thread would overwrite."""
    architecture, generator = made("odd_networks:Sleeping", (40,), 5), np.random.default_rng(0)
    flat, rows = architecture.initial(generator), architecture.rows(400)
    rows.observations[:] = drawn(generator, 400, 40)
    network, parts = architecture.bind(flat), [rows.part(start, start + 10) for start in range(0, 400, 10)]
    by_outputs, by_values = drawn(generator, 10, 5), drawn(generator, 10)

    def gradient_of(part):
        gradient = np.zeros_like(flat)
        network.forward(part, 0, 10)
        network.backward(part, by_outputs, by_values, gradient)
        return gradient

    expected, outputs = list(map(gradient_of, parts)), rows.outputs.copy()
    rows.outputs[:] = 0
    with ThreadPoolExecutor(4) as executor:
        found = list(executor.map(gradient_of, parts))
    assert np.array_equal(rows.outputs, outputs)
    assert all(map(np.array_equal, found, expected))


@pytest.mark.parametrize("dtype", ["uint8", "bool"])
def test_images_stay_what_they_are_until_the_network(dtype):
    small, large = made(dtype=dtype), made()
    flat, generator = small.initial(np.random.default_rng(0)), np.random.default_rng(0)
    observations = generator.integers(2 if dtype == "bool" else 256, size=(5, 4)).astype(dtype)
    rows = small.rows(5)
    assert rows.observations.dtype == dtype
    given_ = drawn(generator, 5, 3), drawn(generator, 5)
    for one, other in zip(*(learned(kind, flat, observations, *given_) for kind in (small, large)), strict=True):
        assert np.array_equal(one, other)


def test_arrays_of_other_kinds_are_refused():
    architecture = made()
    flat = architecture.initial(np.random.default_rng(0))
    network, rows, gradient = architecture.bind(flat), architecture.rows(4), np.zeros_like(flat)
    with pytest.raises(TypeError):
        architecture.bind(flat[1:])
    for by_outputs, by_values, target in (
        (np.zeros((4, 3)), np.zeros(4, np.float32), gradient),
        (np.zeros((3, 3), np.float32), np.zeros(4, np.float32), gradient),
        (np.zeros((4, 6), np.float32)[:, ::2], np.zeros(4, np.float32), gradient),
        (np.zeros((4, 3), np.float32), np.zeros(4, np.float32), gradient[1:]),
    ):
        with pytest.raises(TypeError):
            network.backward(rows, by_outputs, by_values, target)


REFUSED = {
    "Dropping": "draws random numbers when it computes",
    "DroppingUnseen": "draws random numbers when it computes",
    "Pythons": "draws random numbers when it computes",
    "Noisy": "asked again it answers otherwise",
    "Remembering": "asked again it answers otherwise",
    "Batched": "changes its buffer hidden.0.1.running_mean",
    "Centred": "depend on the others beside it",
    "Lazy": "lazy layers are not supported",
    "Counting": "changes its buffer seen",
    "DrawnBuffer": "its buffer scale is drawn at random",
    "DrawnNumber": "made again it answers otherwise",
    "StaleCopy": "made again it answers otherwise",
    "DrawnElsewhere": "not from torch's generator",
    "Overlapping": "actor.weight shares the memory of twin",
    "Frozen": "its parameter hidden.0.bias is frozen",
    "Double": "hidden.0.weight is torch.float64 on cpu",
    "Unused": "there is no gradient for its parameter spare.weight",
    "Detached": "there is no gradient for its parameter hidden.0.weight",
    "OnlyOutputs": "forward gives Tensor, where a tuple of two tensors",
    "TooMany": "outputs of shape (16, 4) and torch.float32 for 16 observations, where (16, 3)",
    "ValuesInColumns": "values of shape (16, 1) and torch.float32 for 16 observations, where (16,)",
    "Halved": "outputs of shape (16, 3) and torch.bfloat16",
    "InPlace": "changes the observations",
    "NotFinite": "outputs that are not finite",
    "Empty": "it has no parameters",
    "Taken": "free_outputs, which is taken",
    "NoModule": "it gives NoModule",
    "Raising": "RuntimeError: not today nor tomorrow",
    "Leaving": "SystemExit: 3",
    "Compiled": "torch.compile",
    "Missing": "AttributeError: module 'odd_networks' has no attribute 'Missing'",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_not_be_the_same_everywhere_is_refused_in_one_line(name):
    observations = drawn(np.random.default_rng(0), 8, 4)
    found = finding(made(f"odd_networks:{name}"), observations)
    assert found and REFUSED[name] in found, found
    assert found.startswith(f"'odd_networks:{name}': ") and "\n" not in found


@pytest.mark.parametrize(
    "architecture",
    [
        made(),
        made(outputs=4, free_outputs=2),
        made("examples.networks.dense:Normalised", kwargs='{"hidden": [16, 8]}'),
        made(MINATAR, (10, 10, 4), 6, dtype="bool"),
        made("odd_networks:Tied"),
        made("odd_networks:Sleeping"),
        made(numerics="native"),
    ],
    ids=lambda architecture: architecture.target,
)
def test_what_is_the_same_everywhere_is_not(architecture):
    inputs = int(np.prod(architecture.shape))
    observations = (np.random.default_rng(0).random((8, inputs)) < 0.5).astype(architecture.dtype)
    assert finding(architecture, observations) is None


def test_one_row_that_never_changes_shows_batch_statistics_too():
    assert finding(made("odd_networks:Centred"), np.ones((1, 4), np.float32))


@pytest.mark.parametrize(
    ("machine", "flags"), [("aarch64", {"asimd"}), ("x86_64", {"avx", "fma"}), ("x86_64", {"avx2"})]
)
def test_a_cpu_for_which_nothing_is_promised_is_refused_unless_nothing_is_asked(monkeypatch, machine, flags):
    monkeypatch.setattr(torch_module.platform, "machine", lambda: machine)
    monkeypatch.setattr(torch_module, "cpu_flags", lambda: frozenset(flags))
    torch_module._open_pinned.cache_clear()
    found = finding(made(), np.zeros((1, 4), np.float32))
    assert found and "numerics: native" in found
    assert finding(made(numerics="native"), np.zeros((1, 4), np.float32)) is None


def python(program, **variables):
    """What a program of its own says, with nothing pinned before."""
    folders = f"{ROOT / 'src'}:{ROOT}"
    command, variables = [sys.executable, "-c", program], environment(**{**variables, "PYTHONPATH": folders})
    result = subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=120)
    assert not result.stderr, result.stderr
    return result.stdout.strip()


OPEN = """
from a3c_bench.errors import BadInputError
from a3c_bench.networks.torch_module import open_torch
try:
    open_torch({numerics!r})
except BadInputError as error:
    print(error)
else:
    import torch
    print(torch.backends.cpu.get_cpu_capability(), "MKL_CBWR" in __import__("os").environ)
"""


@pytest.mark.slow
def test_pins_are_there_before_torch_and_gone_after_it():
    assert python(OPEN.format(numerics="portable")) == "AVX2 False"
    assert "was imported before" in python("import torch" + OPEN.format(numerics="portable"))
    assert python("import torch" + OPEN.format(numerics="portable"), **torch_module.PINS) == "AVX2 True"
    assert python(OPEN.format(numerics="native"), ATEN_CPU_CAPABILITY="default") == "DEFAULT False"


def test_torch_is_imported_only_where_it_is_used():
    names = "algorithms.built_in", "networks.torch_module", "networks.torch_trial", "api", "training.worker"
    program = "".join(f"import a3c_bench.{name}\n" for name in names) + "import sys; print('torch' in sys.modules)"
    assert python(program) == "False"


def test_a_wrong_answer_in_the_middle_is_told():
    architecture = made("odd_networks:TooMany")
    rows = architecture.rows(2)
    with pytest.raises(NetworkError, match=r"outputs of shape \(2, 4\)"):
        architecture.bind(np.zeros(architecture.layout.size, np.float32)).forward(rows, 0, 2)


def test_pins_cannot_be_set_too_late(monkeypatch):
    for name in torch_module.PINS:
        monkeypatch.delenv(name, raising=False)
    torch_module._open_pinned.cache_clear()
    with pytest.raises(BadInputError, match="set MKL_CBWR=COMPATIBLE"):
        torch_module.open_torch("portable")
