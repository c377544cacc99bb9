"""See :mod:`frith_os.locks`, where this has moved."""

from frith_os.locks import describe_holders as described
from frith_os.locks import holders

__all__ = ["described", "holders"]
