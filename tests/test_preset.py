"""Presets: what an environment brings, what a user's own value wins over, and that it is said."""

import json

import pytest
from conftest import ROOT, merged, small_params, write_params
from ruamel.yaml import YAML

from a3c_bench import preset
from a3c_bench.config import ENVIRONMENT, load_config, parse_config
from a3c_bench.params import flatten, read_yaml
from a3c_bench.stages import preset as stage

DEFAULTS = read_yaml(ROOT / "params.yaml")
BROUGHT = {"nstep": {"gamma": 0.9, "envs": 16}}


@pytest.fixture
def one_preset(tmp_path, monkeypatch):
    """A preset for Acrobot-v1 alone."""
    monkeypatch.setattr(preset, "FOLDER", tmp_path / "presets")
    preset.FOLDER.mkdir()
    with (preset.FOLDER / "Acrobot-v1.yaml").open("w") as file:
        YAML(typ="safe").dump(BROUGHT, file)
    preset._read.cache_clear()
    yield
    preset._read.cache_clear()


def params(**changes):
    return merged(DEFAULTS, changes)


def test_the_projects_params_are_the_packages_defaults():
    """Else every value that differs would count as changed: `cp params.yaml src/a3c_bench/defaults.yaml`."""
    assert preset.defaults() == DEFAULTS


@pytest.mark.parametrize("name", preset.environments())
def test_every_preset_is_valid_and_says_only_what_differs(name):
    config = parse_config(preset.applied({**DEFAULTS, "env": name}))
    brought = dict(flatten(preset.preset_of(name)))
    assert brought and brought.items() <= dict(flatten(config.with_(algorithms=list(config.sections)).params())).items()
    defaults = dict(flatten(DEFAULTS))
    assert not [key for key, value in brought.items() if defaults[key] == value]
    tops = {key.partition(".")[0] for key in brought}
    assert tops <= set(config.sections) | set(ENVIRONMENT) - {"env"}, "what DVC itself reads is not a preset's"


@pytest.mark.usefixtures("one_preset")
def test_a_preset_stands_in_for_defaults_and_a_changed_value_wins():
    given = params(env="Acrobot-v1", nstep={"gamma": 0.5}, workers=1)
    config = parse_config(preset.applied(given))
    assert (config.sections["nstep"].gamma, config.sections["nstep"].envs, config.workers) == (0.5, 16, 1)
    assert given["nstep"]["envs"] == DEFAULTS["nstep"]["envs"], "what was given stays"


@pytest.mark.usefixtures("one_preset")
@pytest.mark.parametrize("changes", [{}, {"env": "MountainCar-v0"}, {"env": "Acrobot-v1", "preset": False}])
def test_otherwise_params_stay(changes):
    assert preset.applied(params(**changes)) == params(**changes)


@pytest.mark.usefixtures("one_preset")
@pytest.mark.parametrize("given", [None, [], {"env": 3}, {"env": ["Acrobot-v1"]}, {"env": "Acrobot-v1", "nstep": None}])
def test_what_makes_no_sense_is_left_to_validation(given):
    assert preset.applied(given) == given


@pytest.mark.usefixtures("one_preset")
def test_a_name_is_no_path():
    (preset.FOLDER.parent / "outside.yaml").write_text("workers: 3\n")
    assert preset.preset_of("../outside") == {}


@pytest.mark.usefixtures("one_preset")
def test_check_tells_what_comes_from_where():
    (brought, own) = preset.remarks(params(env="Acrobot-v1", nstep={"gamma": 0.5}))
    assert "Acrobot-v1 brings nstep.envs 16;" in brought and "gamma" not in brought
    assert own == "preset: your own win over that of Acrobot-v1: nstep.gamma 0.5 (preset: 0.9)"
    (unknown,) = preset.remarks(params(env="MountainCar-v0"))
    assert unknown.startswith("preset: there is none for MountainCar-v0, and the defaults were found on CartPole-v1")
    assert not list(preset.remarks(DEFAULTS))


@pytest.mark.usefixtures("one_preset")
def test_a_config_on_another_environment_has_its_preset_and_not_the_last_one(tmp_path):
    write_params(tmp_path, params(env="Acrobot-v1", nstep={"gae_lambda": 0.5}))
    config = load_config(tmp_path / "params.yaml")
    assert config.sections["nstep"].envs == 16
    back = config.with_(env="CartPole-v1")
    assert (back.sections["nstep"].envs, back.sections["nstep"].gae_lambda) == (128, 0.5)
    explicit = back.with_(env="Acrobot-v1", nstep={"envs": 128})
    assert (explicit.sections["nstep"].envs, explicit.sections["nstep"].gamma) == (128, 0.9)
    assert back.with_(env="Acrobot-v1", preset=False).sections["nstep"].envs == 128


@pytest.mark.usefixtures("one_preset")
def test_what_stages_depend_on_changes_with_the_own_preset_only(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    written = {}
    for name, wanted in (("CartPole-v1", True), ("Acrobot-v1", True), ("Acrobot-v1", False)):
        stage.run(name, wanted)
        written[name, wanted] = json.loads(stage.PRESET.read_text())
    assert written["CartPole-v1", True] == written["Acrobot-v1", False] == {}
    assert written["Acrobot-v1", True]["nstep.gamma"] == {"default": 0.99, "preset": 0.9}


def test_the_commands_use_it(a3c_bench, workspace):
    write_params(workspace, small_params(env="Acrobot-v1", algorithms=["nstep"]))
    said = a3c_bench("check").stdout
    assert "preset: Acrobot-v1 brings nstep." in said
    assert "preset: your own win over that of Acrobot-v1: " in said, "the small budget"
