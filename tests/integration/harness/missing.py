"""What to do where something that tests need cannot be had."""
import os

import pytest


def skip_or_fail(reason):
    """Skips with the reason; where nothing may be missing (HARP_DOCKER=required, as in CI), fails."""
    if os.environ.get("HARP_DOCKER") == "required":
        pytest.fail(f"HARP_DOCKER=required, but: {reason}", pytrace=False)
    pytest.skip(reason)
