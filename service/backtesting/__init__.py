"""The face of a back-test: what people read of it, as words, plots, a page and rows."""
