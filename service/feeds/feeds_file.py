"""The file that configures feeds (WATTSPLIT_FEEDS_FILE): YAML, checked whole, without secrets.

feeds:
  - {kind: mempool, name: network, url: "https://mempool.example.org", licence: our own instance}
"""

from pathlib import Path
from typing import Annotated, Self

from annotated_types import Len
from pydantic import Field, model_validator

from models.base import Record, repeated
from models.reading import BadInputError, parse, parse_json, parse_yaml, refuse
from service.feeds.bitcoin_node import BitcoinNode
from service.feeds.drop_folder import DropFolder
from service.feeds.iso_prices import IsoPrices
from service.feeds.mempool import Mempool
from service.feeds.weather import Weather

AnyFeed = Annotated[BitcoinNode | DropFolder | IsoPrices | Mempool | Weather, Field(discriminator="kind")]
MAX_BYTES = 1024 * 1024


class FeedsFile(Record):
    """All feeds of a service. No two have a name in common, and no two tell the same series."""

    feeds: Annotated[tuple[AnyFeed, ...], Len(0, 100)]

    @model_validator(mode="after")
    def names_are_their_own(self) -> Self:
        """Refuse names that are used twice: of feeds, and of the series that they tell."""
        if twice := repeated(feed.name for feed in self.feeds):
            raise ValueError(f"feeds: the name {twice[0]} is used twice")
        if twice := repeated(name for feed in self.feeds for name in feed.series):
            raise ValueError(f"feeds: the series {twice[0]} is told by two feeds")
        return self


def read_feeds(path: Path) -> FeedsFile:
    """Return the feeds of a file.

    Raises:
        BadInputError: every fault, with its pointer.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        raw = file.read(MAX_BYTES + 1)
    content = parse_json(raw, max_bytes=MAX_BYTES) if path.suffix.lower() == ".json" else parse_yaml(raw, max_bytes=MAX_BYTES)
    if not isinstance(content, dict):
        refuse("wrong_shape", f"expected an object with the key feeds, got {type(content).__name__}")
    return parse(FeedsFile, content)


def in_words(error: BadInputError) -> str:
    """Return the faults of a file in a line."""
    return "; ".join(f"{refusal.pointer or 'the file'}: {refusal.detail}" for refusal in error.refusals[:10])
