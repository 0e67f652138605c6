"""An episode of BipedalWalker does not depend on those before it, so it can be replayed."""

import pytest

from a3c_bench.environments.make import describe
from a3c_bench.environments.recipe import Recipe

NEW_WORLD = "a3c_bench.environments.worlds:NewWorld"


@pytest.mark.parametrize(("wrappers", "packing"), [((), "pinned"), ((NEW_WORLD,), "replayed")])
def test_an_episode_in_a_new_world_is_replayed(wrappers, packing):
    described = describe(Recipe("BipedalWalker-v3", wrappers=wrappers)).with_packing()
    assert (described.packing, described.vector_packing) == (packing, packing)
