import copy
import dataclasses
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

import numpy as np
import pytest

import opsbrief
from opsbrief.lazy import dataclass

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Lazy:
    """One field of every sort."""

    name: str
    size: float = 1.5
    tags: Mapping[str, str] = dataclasses.field(default_factory=dict)
    hidden: str = dataclasses.field(default="", repr=False, compare=False)
    last: int = dataclasses.field(default=0, kw_only=True)
    shared: ClassVar[int] = 7

    @property
    def double(self) -> float:
        return 2 * self.size


@dataclasses.dataclass(frozen=True, slots=True)
class Standard:
    """The same, made by the standard library."""

    name: str
    size: float = 1.5
    tags: Mapping[str, str] = dataclasses.field(default_factory=dict)
    hidden: str = dataclasses.field(default="", repr=False, compare=False)
    last: int = dataclasses.field(default=0, kw_only=True)
    shared: ClassVar[int] = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class One:
    value: object


@dataclass(frozen=True, slots=True)
class Empty:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked(Generic[T]):
    value: T

    def __post_init__(self) -> None:  # noqa: D105 - a test
        if self.value is None:
            raise ValueError("no value")


@dataclass(frozen=True, slots=True)
class Own:
    """Methods of its own are kept."""

    name: str
    note: str = ""

    def __eq__(self, other: object) -> bool:  # noqa: D105 - a test
        return isinstance(other, Own) and other.name == self.name

    def __hash__(self) -> int:  # noqa: D105 - a test
        return hash(self.name)

    def __repr__(self) -> str:  # noqa: D105 - a test
        return "mine"


@dataclass(frozen=True, slots=True)
class Unhashed:  # noqa: PLW1641 - that is tested
    name: str

    def __eq__(self, other: object) -> bool:  # noqa: D105 - a test
        return False


def test_it_says_of_itself_what_the_standard_one_says() -> None:
    def told(kind: type) -> list[tuple[object, ...]]:
        return [(f.name, f.type, f.default, f.default_factory, f.kw_only, f.repr) for f in dataclasses.fields(kind)]

    assert told(Lazy) == told(Standard)
    assert Lazy.__match_args__ == Standard.__match_args__ == ("name", "size", "tags", "hidden")
    assert Lazy.__slots__ == Standard.__slots__
    assert dataclasses.is_dataclass(Lazy)
    assert repr(Lazy("a", 2)) == repr(Standard("a", 2)).replace("Standard", "Lazy")


def test_arguments_fall_into_place_the_first_time_and_later() -> None:
    for _ in range(2):
        assert dataclasses.astuple(Lazy("a")) == ("a", 1.5, {}, "", 0)
        assert dataclasses.astuple(Lazy("a", 2, {"k": "v"}, "h", last=3)) == ("a", 2, {"k": "v"}, "h", 3)
    assert Lazy("a").tags is not Lazy("b").tags
    assert Empty() == Empty()


@pytest.mark.parametrize("arguments", [(), ("a", 1, {}, "", 4), ("a", 1, {}, "", "", "")])
def test_wrong_arguments_are_refused_the_first_time_and_later(arguments: tuple[object, ...]) -> None:
    for _ in range(2):
        with pytest.raises(TypeError, match=r"Lazy\.__init__\(\)"):
            Lazy(*arguments)  # type: ignore[call-arg, arg-type] # reason: wrong on purpose
    with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
        Lazy("a", colour="red")  # type: ignore[call-arg] # reason: same


def test_nothing_in_it_can_be_changed() -> None:
    value = Lazy("a")
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'name'"):
        value.name = "b"  # type: ignore[misc] # reason: refused, as it should be
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot delete field 'name'"):
        del value.name
    with pytest.raises(AttributeError):
        value.other = 1  # type: ignore[attr-defined] # reason: same
    assert not hasattr(value, "__dict__")


def test_equal_fields_are_equal_values_with_equal_hashes() -> None:
    assert One(value=1) == One(value=1)
    assert hash(One(value=1)) == hash(One(value=1))
    assert One(value=1) != One(value=2)
    assert Lazy("a", hidden="x") == Lazy("a", hidden="y")  # not compared
    assert Lazy("a") != Standard("a")
    assert Lazy("a") != ("a", 1.5, {}, "", 0)
    with pytest.raises(TypeError, match="unhashable"):
        hash(Lazy("a"))  # it holds a dictionary


@pytest.mark.parametrize("same", [float("nan"), np.arange(3)])
def test_what_is_the_same_is_equal(same: object) -> None:
    assert One(value=same) == One(value=same)


def test_methods_of_its_own_are_kept() -> None:
    assert Own("a", "x") == Own("a", "y")
    assert hash(Own("a")) == hash("a")
    assert repr(Own("a")) == "mine"
    assert Unhashed.__hash__ is None


def test_what_is_checked_after_making_is_checked_every_time() -> None:
    for _ in range(2):
        with pytest.raises(ValueError, match="no value"):
            Checked(value=None)
    assert Checked[int](value=1).value == 1


def test_copies_pickles_and_replacements_are_values_too() -> None:
    value = Lazy("a", 2, {"k": "v"}, last=3)
    assert pickle.loads(pickle.dumps(value)) == copy.copy(value) == copy.deepcopy(value) == value  # noqa: S301 - ours
    assert dataclasses.replace(value, name="b") == Lazy("b", 2, {"k": "v"}, last=3)
    match value:
        case Lazy(name, size):
            assert (name, size, value.double) == ("a", 2, 4)


def test_what_inherits_from_it_is_frozen_too_whoever_makes_it() -> None:
    @dataclasses.dataclass(frozen=True, slots=True)
    class Theirs(One):
        more: int = dataclasses.field(default=2, kw_only=True)

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Ours(One):
        more: int = 2

    for kind in (Theirs, Ours):
        value = kind(value=1)
        assert dataclasses.astuple(value) == (1, 2)
        assert value != One(value=1)
        with pytest.raises(dataclasses.FrozenInstanceError):
            value.value = 2  # type: ignore[misc] # reason: refused, as it should be
    with pytest.raises(TypeError, match="cannot inherit non-frozen dataclass from a frozen one"):

        @dataclasses.dataclass
        class Loose(One):  # type: ignore[misc] # reason: same
            pass


def test_one_that_can_change_is_left_to_the_standard_library() -> None:
    @dataclass(slots=True)
    class Tray:
        items: list[int] = dataclasses.field(default_factory=list)

    tray = Tray()
    tray.items = [1]
    assert tray == Tray([1])


def test_the_values_of_the_model_are_made_this_way() -> None:
    model = Path(opsbrief.__file__).parent / "model"
    standard = [path.name for path in model.glob("*.py") if "from dataclasses import dataclass" in path.read_text()]
    assert standard == []
