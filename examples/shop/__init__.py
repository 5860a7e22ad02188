"""The shop that the sites in ``bottle/``, ``flask/`` and ``pyramid/`` have in common.

Nothing here knows of a web framework. ``models`` has the tables and the database,
``functions`` the durable functions and their steps, ``orders`` what the pages do, and
``pages`` their HTML.
"""
