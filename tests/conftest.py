import os

from hypothesis import settings

# No deadline: a slow machine is not a wrong answer. In CI the same examples every time.
settings.register_profile("default", deadline=None, max_examples=300)
settings.register_profile("ci", deadline=None, max_examples=300, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")
