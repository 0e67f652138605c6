"""How it is trained: actors on workers, turns in order, the exchange between processes. `alone` is the definition."""
