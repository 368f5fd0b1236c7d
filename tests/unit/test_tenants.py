"""Tenants: by which labels a reader is limited."""

import pytest

from receiver.core.tenants import Tenant

MINE = Tenant.of({"user_id": "mine", "team": "a"})


def test_a_tenant_says_which_labels():
    """Sorted, and `or` between those of several groups."""
    assert str(MINE) == "team=a,user_id=mine"
    assert str(MINE | Tenant.of({"region": "eu"})) == "region=eu or team=a,user_id=mine"


def test_tenants_of_equal_labels_are_equal():
    """Whatever their order, so that whoever sees the same can be served together."""
    assert Tenant.of({"team": "a", "user_id": "mine"}) == MINE
    assert hash(MINE | MINE) == hash(MINE)


def test_without_labels_nobody_is_a_tenant():
    """All labels of nothing are what every model has."""
    with pytest.raises(ValueError, match="would see everything"):
        Tenant.of({})
