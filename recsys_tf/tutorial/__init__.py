"""The article, followed section by section in Chinese and English; every code block of it is run by the tests."""
