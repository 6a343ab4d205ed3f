def pytest_configure(config):
    config.addinivalue_line("markers", "browser: needs Chromium, which is not installed by `make setup`")
