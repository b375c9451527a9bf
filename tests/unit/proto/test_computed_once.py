from halo_daemon.proto.computed_once import computed_once


class _Counted:
    computed = 0

    @computed_once
    def length(self) -> int:
        """How long it is."""
        self.computed += 1
        return 7


def test_a_value_is_computed_once_for_each_owner():
    """The second look costs no computation, and another owner has a value of its own."""
    one, other = _Counted(), _Counted()
    assert (one.length, one.length, one.computed) == (7, 7, 1)
    assert other.computed == 0
    assert other.length == 7


def test_the_class_tells_what_the_property_is():
    """Documentation reads the docstring from the class, where there is no value."""
    assert _Counted.length.__doc__ == "How long it is."
