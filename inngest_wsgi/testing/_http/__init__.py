"""HTTP in both directions: requests to apps, and the API that apps call.

The callers are given a method, a URL, headers and a body, and give back the
bare answer. The API is given a WSGI environment, and gives back the answer
that a real server gave when it was recorded.
"""
