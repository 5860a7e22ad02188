from setuptools import setup

setup(name="inngest-wsgi")
