"""Search spaces: what is declared, what is drawn, what a config makes of it."""

import pytest

from rawnet_jax.config_file import load_config, value_of, with_overrides
from rawnet_jax.errors import ConfigError
from rawnet_jax.search.defaults import default_declarations
from rawnet_jax.search.space import parse_space
from tests.conftest import REPO

pytest.importorskip("optuna", reason="the extra `search` is not installed")

CHANNELS = "config.model.fields.channels"


@pytest.fixture(scope="module")
def config():
    return load_config(str(REPO / "configs" / "conv1d_speech.py"))


@pytest.mark.parametrize(
    ("declaration", "drawn", "field", "value"),
    [
        ("config.optimizer.learning_rate=log:1e-4..1e-2", 2e-3, None, 2e-3),
        ("config.model.fields.hidden_dropout=0.1..0.9", 0.9, None, 0.9),
        ("config.model.fields.hidden_features=8..64", 9, None, 9),
        ("config.train.batch_size=16,32", "16", None, 16),
        ("config.train.swa=true|0", "False", None, False),
        ("config.optimizer.name=adam,adamw", "adamw", None, "adamw"),
        (f"{CHANNELS}=(8,16)|(16,32,8)", "(16, 32, 8)", None, (16, 32, 8)),
        ("config.model.fields.block_dropout=(0,0)|(.9,.5)", "(0.0, 0.0)", None, (0.0, 0.0)),
        ("config.data.balance=('class',)|('class','attack')", "('class',)", None, ("class",)),
        ("config.augment.noise_dir=../a,../b", "../b", None, "../b"),
        (f"{CHANNELS}.1=8,16,99", "99", CHANNELS, (32, 99)),
        ("config.model.fields.block_dropout.0=0..0.6", 0.25, "config.model.fields.block_dropout",
         (0.25, 0.3)),
    ],
)  # fmt: skip
def test_a_drawn_value_reaches_the_config(config, declaration, drawn, field, value):
    space = parse_space([declaration], config)
    [parameter] = space.parameters
    assert parameter.holds(drawn)
    changed = with_overrides(config, space.overrides(config, {parameter.name: drawn}))
    assert repr(value_of(changed, field or parameter.name)) == repr(value)


def test_places_of_one_tuple_are_set_together(config):
    space = parse_space([f"{CHANNELS}.0=8,16", f"{CHANNELS}.1=4,64"], config)
    values = {f"{CHANNELS}.0": "8", f"{CHANNELS}.1": "4"}
    assert space.overrides(config, values) == [f"--{CHANNELS}=(8, 4)"]
    assert space.size == len(list(space.combinations())) == 4


@pytest.mark.parametrize(
    ("declaration", "said"),
    [
        ("config.optimizer.learning_rat=0.1..1", "did you mean 'learning_rate'?"),
        ("config.optimizer=1..2", "is a group; set one of its fields"),
        ("learning_rate=0.1..1", "it must be config.GROUP.FIELD=VALUES"),
        ("config.train.batch_size", "it must be config.GROUP.FIELD=VALUES"),
        ("config.train.batch_size=16", "one value is not a search"),
        ("config.train.batch_size=16,16", "one value is not a search"),
        ("config.train.batch_size=16,,32", "one of its choices is empty"),
        ("config.train.batch_size=0,16", "at least 1"),
        ("config.train.batch_size=16,many", "invalid literal for int()"),
        ("config.train.batch_size=1.5..9", "must be whole numbers"),
        ("config.train.batch_size=64..16", "from low to high"),
        ("config.optimizer.learning_rate=log:0..1", "above 0"),
        ("config.optimizer.learning_rate=0..inf", "from low to high"),
        ("config.optimizer.learning_rate=-1..1", "at least 0"),
        ("config.optimizer.name=adam,adan", "must be one of adam"),
        ("config.optimizer.name=a..b", "give choices"),
        ("config.train.swa=0..1", "give choices"),
        (f"{CHANNELS}.2=8,16", "place 2, counted from 0, is not there"),
        (f"{CHANNELS}.0=8,.5", ".5 is not of the type of 32 (int)"),
        (f"{CHANNELS}=(8,16)|(8,'x')", "'x' is not of the type of 32 (int)"),
        ("config.train.seed.0=1,2", "place 0, counted from 0, is not there"),
    ],
)
def test_a_wrong_declaration_is_named(config, declaration, said):
    with pytest.raises(ConfigError) as caught:
        parse_space([declaration], config)
    assert str(caught.value).startswith(f"--search {declaration}: ")
    assert said in str(caught.value)


@pytest.mark.parametrize("second", [f"{CHANNELS}.0=8,16", f"{CHANNELS}=(1,2)|(3,4)"])
def test_a_field_is_searched_once(config, second):
    with pytest.raises(ConfigError, match="is searched already"):
        parse_space([f"{CHANNELS}.0=8,16", second], config)


def test_declarations_can_be_read_again(config):
    space = parse_space(default_declarations(config), config)
    again = parse_space(space.declarations(), config)
    assert set(again.parameters) == set(space.parameters)


def test_the_default_space_holds_the_config(config):
    space = parse_space(default_declarations(config), config)
    own = space.values_in(config)
    assert own is not None
    assert own[f"{CHANNELS}.1"] == "64"
    assert with_overrides(config, space.overrides(config, own)) == config
    assert parse_space(["config.train.batch_size=1,2"], config).values_in(config) is None


def test_other_models_need_a_space():
    aasist = load_config(str(REPO / "configs" / "aasist_speech.py"))
    with pytest.raises(ConfigError, match="no default search space for model aasist"):
        default_declarations(aasist)
