def pytest_addoption(parser):
    parser.addoption("--stack", help="run the integration tests against this deployed stack, not the local cloud")
