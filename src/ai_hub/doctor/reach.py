"""Whether archives are where they should be: asks each for the manifest of its newest layer."""

from __future__ import annotations

import hashlib

from ai_hub.archive.past import storage_at
from ai_hub.errors import AiHubError
from ai_hub.stores.checkup import ArchiveFacts


def away(found: ArchiveFacts) -> dict[str, str]:
    """Of each URL that does not give it, why. Blocking."""
    wrong = {}
    for one in found.sealed:
        if one.manifest is None:
            continue
        try:
            held = storage_at(one.url).get(one.manifest)
        except AiHubError as error:
            wrong[one.url] = str(error).removesuffix(".")
        else:
            if hashlib.sha256(held).hexdigest() != one.checksum:
                wrong[one.url] = f"{one.manifest} is another one than was written"
    return wrong
