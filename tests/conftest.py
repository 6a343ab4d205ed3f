def pytest_addoption(parser):
    parser.addoption("--stack", help="run the integration tests against this deployed stack, not the local cloud")
    parser.addoption("--soak", action="store_true", help="the reliability tests in their full sizes: tens of minutes")
