def pytest_addoption(parser):
    parser.addoption(
        "--write",
        action="store_true",
        help="write docs/from-the-official-sdk.md and the official SDK's answers",
    )
