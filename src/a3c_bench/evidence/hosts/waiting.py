"""An environment whose step waits, as that of a remote or a real-time simulator does."""

import time
from typing import Any

import gymnasium

WAIT_SECONDS = 0.002
WRAPPER = f"{__name__}:Waits"


class Waits(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Each step takes two milliseconds more, in which nothing is computed."""

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """A step."""
        time.sleep(WAIT_SECONDS)
        return self.env.step(action)
