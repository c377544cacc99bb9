"""How Sphinx builds this documentation: ``tox -e docs``."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version as version_of
from typing import Any

from pydantic import BaseModel
from sphinx.application import Sphinx
from sphinx.ext.napoleon import GoogleDocstring

# autodoc rewrites the annotations of pydantic's BaseModel: what derives from it is imported before.
import frith.model  # noqa: F401
from frith.config import ManagerConfig, Options
from frith.errors import FrithError

project = "frith"
author = "The frith authors"
version = release = version_of("frith")

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build", "changelog.d"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"frith {release}"

default_role = "code"
autodoc_default_options = {
    "exclude-members": "model_config",
    "members": True,
    "show-inheritance": True,
}
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True


def _docstring(
    app: Sphinx, what: str, name: str, obj: object, options: Any, lines: list[str]
) -> None:
    """Read sections as Google writes them, except in attributes, where a colon is just a colon."""
    if what == "attribute":
        lines += _default(name)
    elif what != "data":
        kind = "method" if what == "property" else what
        lines[:] = GoogleDocstring(lines, what=kind, name=name, obj=obj).lines()
    if isinstance(obj, type) and issubclass(obj, FrithError):
        lines += ["", f"Code: ``{obj.code}``", ""]


def _default(name: str) -> list[str]:
    """Return lines that tell the default of a setting; none for any other attribute."""
    path, _, field = name.rpartition(".")
    module, _, owner = path.rpartition(".")
    model = getattr(import_module(module), owner, None) if module else None
    if not (isinstance(model, type) and issubclass(model, (ManagerConfig, Options))):
        return []
    setting = model.model_fields.get(field)
    if setting is None or setting.is_required():
        return []
    return ["", f"Default: ``{setting.get_default(call_default_factory=True)!r}``", ""]


def _signature(
    app: Sphinx, what: str, name: str, obj: object, options: Any, signature: str, returns: str
) -> tuple[str, None] | None:
    """Leave out the signature of models: their fields are listed below it, with their meaning."""
    return ("", None) if isinstance(obj, type) and issubclass(obj, BaseModel) else None


def setup(app: Sphinx) -> None:
    app.connect("autodoc-process-docstring", _docstring)
    app.connect("autodoc-process-signature", _signature)
