"""The source stays small and documented, as measured by `tests/kit/sizes.py`."""

from tests.kit.sizes import measured


def test_files_and_functions_are_short_and_public_names_documented() -> None:
    sizes = measured()

    assert sizes.file_max <= 400, sizes.longest_file
    assert sizes.file_median <= 100
    assert sizes.function_p90 <= 20
    assert sizes.function_max <= 66, sizes.longest_function
    assert sizes.documented_percent >= 97
    assert sizes.ignores_in_1000_lines <= 2
