"""The harness finds what it looks for: each broken variant of the library is caught."""

import pytest

from tests.crash.combinations import LOCAL
from tests.crash.conftest import Places
from tests.crash.variants import CAUGHT, is_caught


@pytest.mark.parametrize("variant", CAUGHT)
async def test_broken_variant_is_caught(variant: str, places: Places) -> None:
    """A library that breaks a rule is found out."""
    assert await is_caught(variant, LOCAL[0], places)
