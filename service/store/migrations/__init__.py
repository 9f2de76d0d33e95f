"""Schema history. One module per step in `versions/`, applied in order at start."""
