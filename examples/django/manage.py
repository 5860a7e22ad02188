"""Django's commands for this project: python manage.py test, python manage.py migrate"""

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
    # for tests and on a developer's machine; a server has settings of its own
    os.environ.setdefault("SECRET_KEY", "for tests")
    os.environ.setdefault("INNGEST_DEV", "1")
    execute_from_command_line(sys.argv)
