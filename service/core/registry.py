"""Finds the sources: one class in one module, no list to keep."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from typing import TYPE_CHECKING

from service.core.errors import ConfigError
from service.core.source import Source

if TYPE_CHECKING:
    from collections.abc import Mapping

SOURCES = "service.sources"


def discover(package: str = SOURCES) -> Mapping[str, type[Source]]:
    """Import every module of the package and give its sources by name.

    Raises ConfigError if a module does not hold exactly one source of the module's name.
    """
    found: dict[str, type[Source]] = {}
    problems: list[str] = []
    path = importlib.import_module(package).__path__
    for module_info in pkgutil.iter_modules(path, f"{package}."):
        module = importlib.import_module(module_info.name)
        short = module_info.name.rpartition(".")[2]
        here = [
            value
            for value in vars(module).values()
            if inspect.isclass(value) and issubclass(value, Source) and value.__module__ == module.__name__
        ]
        if [source.name for source in here] == [short]:
            found[short] = here[0]
        else:
            problems.append(f"{module_info.name}: a source module holds exactly one Source, named {short!r}")
    if problems:
        raise ConfigError(problems)
    return found
