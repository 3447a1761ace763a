"""`typing.override` for Python 3.11, which does not have it, without a package at run time."""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["override"]

if TYPE_CHECKING:
    from typing_extensions import override
else:

    def override(method):  # noqa: ANN001, ANN201 - the type checker reads the other branch
        """Return `method`: only the type checker looks at the mark."""
        return method
