"""Templates to HTML: Jinja2, which escapes whatever a template does not say to be markup."""

from __future__ import annotations

from typing import Any

import jinja2

from ai_hub import __version__
from ai_hub.page import words
from ai_hub.page.static import URLS

_templates = jinja2.Environment(
    loader=jinja2.PackageLoader("ai_hub.page"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)
_templates.globals.update(url=URLS, version=__version__)
_templates.filters.update(words.FILTERS)


def render(template: str, **names: Any) -> bytes:
    """A template with these names, as UTF-8."""
    return _templates.get_template(f"{template}.html").render(names).encode()
