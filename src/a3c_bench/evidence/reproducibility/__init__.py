"""The promise, checked: `verify` makes the committed results again, `proof` varies what must not matter."""
