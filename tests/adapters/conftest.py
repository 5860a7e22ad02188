import django_settings
import pytest


@pytest.fixture(autouse=True)
def settings_of_django(tmp_path_factory):
    with django_settings.overridden(tmp_path_factory.getbasetemp()):
        yield
