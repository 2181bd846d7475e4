"""What installed packages bring is found, and a broken package is named."""

from __future__ import annotations

import pytest

from tests.packages import Install
from warehouse.errors import LayerhouseError
from warehouse.extensions import installed, raised_by_package

GROUP = "layerhouse.numbers"


def test_a_class_and_an_object_are_both_found_by_their_entry_points_names(install: Install) -> None:
    assert installed(GROUP, int) == {}
    install(GROUP, "none", "class None_(int): ...\n", "None_")
    install(GROUP, "seven", "seven = 7\n", "seven")
    assert installed(GROUP, int) == {"none": 0, "seven": 7}
    assert installed("layerhouse.others", int) == {}


@pytest.mark.parametrize(
    ("code", "named", "said"),
    [
        ("seven = '7'\n", "seven", "is no int"),
        ("class Seven: ...\n", "Seven", "is no int"),
        ("import absent_module\n", "seven", "cannot be loaded (ModuleNotFoundError: No module"),
        ("eight = 8\n", "seven", "cannot be loaded (AttributeError: "),
        ("class Seven(int):\n    def __init__(self): 1 / 0\n", "Seven", "(ZeroDivisionError: "),
        (
            "class Seven(int):\n    size: int\n    unit: str\n    name: str = ''\n",
            "Seven",
            "does not say its size and unit",
        ),
    ],
)
def test_a_broken_package_is_named_with_the_way_out(
    install: Install, code: str, named: str, said: str
) -> None:
    install(GROUP, "broken", code, named)
    with pytest.raises(LayerhouseError) as caught:
        installed(GROUP, int)
    message = str(caught.value)
    assert message.startswith(f"the entry point broken of {GROUP} ")
    assert said in message
    assert message.endswith("; mend or uninstall the package broken")


def test_two_packages_with_one_name_are_refused(install: Install) -> None:
    install(GROUP, "seven", "seven = 7\n", "seven", package="one")
    install(GROUP, "seven", "seven = 7\n", "seven", package="two")
    with pytest.raises(LayerhouseError, match=r"seven of layerhouse\.numbers is brought by two"):
        installed(GROUP, int)


FAILING = """
class Seven(int):
    def read(self, how):
        return how(self)
"""


def test_what_leaves_the_code_of_a_package_is_told_with_its_object(install: Install) -> None:
    install(GROUP, "seven", FAILING, "Seven", package="numbers")
    seven = installed(GROUP, int)["seven"]
    with pytest.raises(ZeroDivisionError) as caught:
        seven.read(lambda n: n // 0)  # type: ignore[attr-defined]
    assert str(raised_by_package(caught.value)) == (
        "numbers_package.Seven.read of the package numbers fails: ZeroDivisionError: integer "
        "division or modulo by zero; mend or uninstall it (--debug shows the traceback)"
    )
    with pytest.raises(ZeroDivisionError) as caught:
        seven // 0
    assert raised_by_package(caught.value) is None
