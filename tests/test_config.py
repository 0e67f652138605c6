import pytest
from conftest import ROOT, merged, small_params
from hypothesis import given, settings
from hypothesis import strategies as st

from a3c_bench.config import Config, load_config, parse_config
from a3c_bench.errors import BadInputError
from a3c_bench.params import read_yaml
from a3c_bench.stages.profile import fixed_work


def test_the_projects_params_are_valid():
    config = load_config(ROOT / "params.yaml")
    assert config.algorithm("nstep").actors >= 8
    assert set(config.algorithms) <= config.sections.keys()


def test_config_is_frozen():
    with pytest.raises(ValueError, match="frozen"):
        load_config(ROOT / "params.yaml").workers = 3


def test_rollouts_cover_the_step_budget():
    nstep = parse_config(small_params()).algorithm("nstep")
    per_round = nstep.actors * nstep.envs * nstep.rollout_steps
    assert (nstep.rollouts - 1) * per_round < nstep.total_steps <= nstep.rollouts * per_round


@pytest.mark.parametrize(
    ("changes", "fragments"),
    [
        ({"workers": 0}, ["workers", "0", "greater than or equal to 1"]),
        ({"workers": "two"}, ["workers", "'two'", "a whole number"]),
        ({"workers": 2.5}, ["workers", "2.5"]),
        ({"workers": True}, ["workers", "True"]),
        ({"schedule": "fast"}, ["schedule", "'fast'", "'ordered' or 'hogwild'"]),
        ({"seeds": []}, ["seeds", "at least 1 item"]),
        ({"seeds": [1, 1]}, ["seeds", "each value may be listed once"]),
        ({"seeds": [-1]}, ["seeds.0", "-1"]),
        ({"algorithms": ["a2c"]}, ["algorithms", "'a2c'", "there are: nstep, episodic, ppo"]),
        ({"max_episode_steps": 0}, ["max_episode_steps", "0", "greater than or equal to 1"]),
        ({"max_episode_steps": "long"}, ["max_episode_steps", "'long'", "a whole number"]),
        ({"env_kwargs": [1]}, ["env_kwargs", "[1]", "a section of keys and values"]),
        ({"wrappers": "a:b"}, ["wrappers", "'a:b'", "a list"]),
        ({"wrappers": [3]}, ["wrappers.0", "3", "a text"]),
        ({"surprise": 1}, ["surprise", "unknown key", "allowed:", "workers"]),
        ({"worker": 1}, ["worker", "unknown key", "workers is meant?"]),
        ({"two\nlines": 1}, ["two lines: unknown key"]),
        ({"profile": {"two\u2028lines": None}}, ["profile.two lines: unknown key"]),
        ({"sections": 3}, ["sections", "unknown key"]),
        ({"nstep": {"lambda": 1}}, ["nstep.lambda", "unknown key", "gae_lambda"]),
        ({"nstep": {"kind": "a2c"}}, ["nstep.kind", "'a2c'", "allowed: episodic, nstep, ppo, or package.module:Name"]),
        ({"nstep": {"kind": "os.path:join"}}, ["nstep.kind", "is no subclass of a3c_bench.algorithms.base:Settings"]),
        ({"nstep": {"kind": "no.such:Name"}}, ["nstep.kind", "No module named 'no'"]),
        ({"nstep": {"gamma": 1.5}}, ["nstep.gamma", "1.5", "less than or equal to 1"]),
        ({"nstep": {"learning_rate": float("nan")}}, ["nstep.learning_rate", "nan", "finite"]),
        ({"nstep": {"learning_rate": -1e-3}}, ["nstep.learning_rate", "-0.001", "greater than 0"]),
        ({"nstep": {"final_learning_rate": 1.0}}, ["nstep: final_learning_rate must not exceed learning_rate"]),
        ({"nstep": {"total_steps": 10**30}}, ["nstep.total_steps", "less than"]),
        ({"nstep": {"hidden": []}}, ["nstep.hidden", "at least 1 item"]),
        ({"episodic": {"reward": "mine"}}, ["episodic.reward", "'mine'", "'textbook' or 'env'"]),
        (
            {"ppo": {"minibatches": 3}},
            ["ppo: minibatches must divide envs × rollout_steps: 40 rows", "in 3 of one size"],
        ),
        ({"ppo": {"minibatches": 0}}, ["ppo.minibatches", "0", "greater than or equal to 1"]),
        ({"ppo": {"epochs": 2.5}}, ["ppo.epochs", "2.5", "a whole number"]),
        ({"ppo": {"clip_range": 0.0}}, ["ppo.clip_range", "0.0", "greater than 0"]),
        ({"ppo": {"epochs": 1024, "total_steps": 10**10}}, ["ppo: ", "turns in all are too many"]),
        ({"profile": {"workers": []}}, ["profile.workers", "at least 1 item"]),
        ({"profile": {"repeats": 0}}, ["profile.repeats", "0", "greater than or equal to 1"]),
    ],
)
def test_bad_values_are_named_in_one_line(changes, fragments):
    with pytest.raises(BadInputError) as caught:
        parse_config(merged({**dict.fromkeys(changes), **small_params()}, changes))
    message = str(caught.value)
    assert "\n" not in message
    assert all(fragment in message for fragment in ["params.yaml", *fragments]), message


OPTIONAL = {"hosts", "joining", "max_episode_steps", "env_kwargs", "wrappers", "preset"}


@pytest.mark.parametrize("key", [name for name, field in Config.model_fields.items() if not field.exclude])
def test_missing_keys_are_named(key):
    params = small_params()
    del params[key]
    if key in OPTIONAL:
        assert parse_config(params) == parse_config(small_params())
        return
    with pytest.raises(BadInputError, match=rf"params.yaml: {key}: missing"):
        parse_config(params)


@pytest.mark.parametrize("key", ["kind", "actors", "gamma"])
def test_missing_keys_of_a_section_are_named(key):
    params = small_params()
    del params["nstep"][key]
    with pytest.raises(BadInputError, match=rf"params.yaml: nstep.{key}: missing"):
        parse_config(params)


def test_a_config_is_what_its_params_say():
    config = parse_config(small_params(algorithms=["nstep", "episodic", "ppo"]))
    assert parse_config(config.params()) == config


def test_a_budget_is_that_of_every_actor():
    config = parse_config(small_params()).with_budget(7)
    assert [config.algorithm(name).rollouts for name in config.algorithms] == [7, 7]


def test_a_budget_is_of_whole_rollouts():
    config = parse_config(small_params())
    ppo = config.algorithm("ppo").with_budget(7)
    assert (ppo.updates_per_rollout, ppo.updates, ppo.rollouts, ppo.turns) == (4, 8, 2, 64)
    # The first rollout of every actor is warm-up.
    shortest = fixed_work(config.changed(profile=config.profile.changed(turns=1))).algorithm("ppo")
    assert shortest.rollouts == 2


@pytest.mark.parametrize("content", [None, [], "text", 3])
def test_content_that_is_no_mapping(content):
    with pytest.raises(BadInputError, match=r"params.yaml: .* is not allowed: keys and their values"):
        parse_config(content)


@pytest.mark.parametrize("text", ["workers: [", "a: 1\na: 2", "\x00", "a: !!python/object:os.system {}"])
def test_text_that_is_no_yaml(tmp_path, text):
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(BadInputError, match="not valid YAML"):
        read_yaml(tmp_path / "params.yaml")


def test_missing_file(tmp_path):
    with pytest.raises(BadInputError, match=r"nothing.yaml: cannot be read \(No such file"):
        read_yaml(tmp_path / "nothing.yaml")


def test_numbers_are_read_as_dvc_reads_them(tmp_path):
    (tmp_path / "params.yaml").write_text("rate: 1e-4")
    assert read_yaml(tmp_path / "params.yaml") == {"rate": 1e-4}


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(deadline=None)
@given(key=st.sampled_from(list(Config.model_fields)), value=anything)
def test_any_value_is_taken_or_refused_in_one_line(key, value):
    try:
        parse_config({**small_params(), key: value})
    except BadInputError as error:
        assert "\n" not in str(error)
