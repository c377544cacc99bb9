"""See :mod:`frith_os.private`, where this has moved."""

from frith_os.private import *  # noqa: F403
