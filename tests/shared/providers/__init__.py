import pytest

# The contract's asserts run in a module that pytest would not rewrite by itself.
pytest.register_assert_rewrite("tests.shared.providers.contract")
