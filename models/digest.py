"""Content digests: the same content gives the same name."""

import hashlib
import json
from typing import Any


def canonical_json(content: Any) -> bytes:
    """Return JSON with sorted keys and no white space, as UTF-8.

    Raises:
        ValueError: a number is NaN or infinite.

    """
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest(content: Any) -> str:
    """Return `sha256:<hex>` of JSON content."""
    return "sha256:" + hashlib.sha256(canonical_json(content)).hexdigest()
