"""Futures: the reference fleet and its feed, what-if patches, the library of what-ifs, and the comparison of plans."""
