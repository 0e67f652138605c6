"""What backs the figures of speed: rates measured in turns, the floor, other systems, and the search for the params."""
