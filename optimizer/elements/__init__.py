"""One module per physical or economic element; elements meet only in a Contribution."""
