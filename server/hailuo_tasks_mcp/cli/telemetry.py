"""OpenTelemetry, whose API the SDK imports: variables for it that stop the import."""

import logging
import os
from collections.abc import Callable
from importlib import import_module

logger = logging.getLogger(__name__)

# What the SDK does with each variable, in the order in which it does it. Not OTEL_PYTHON_CONTEXT:
# where it names nothing, OpenTelemetry logs that itself and goes on.
_PROBES: dict[str, Callable[[], object]] = {
    "OTEL_PROPAGATORS": lambda: import_module("opentelemetry.propagate"),
    "OTEL_PYTHON_TRACER_PROVIDER": lambda: import_module(
        "opentelemetry.trace"
    ).get_tracer_provider(),
}


def drop_unusable_variables() -> None:
    """Take the variables out of the environment that name what cannot be loaded, with a warning.

    To be called before the SDK is imported. It costs nothing where none of them is set.
    """
    for variable, probe in _PROBES.items():
        if variable not in os.environ:
            continue
        # It logs the failure too, without the variable.
        library = logging.getLogger("opentelemetry")
        library.setLevel(logging.CRITICAL + 1)
        try:
            probe()
        except Exception as error:  # noqa: BLE001 - whatever is installed may raise anything
            value = os.environ.pop(variable)
            logger.warning(
                "%s=%s is ignored, because what it names cannot be loaded (%s)",
                variable,
                value,
                type(error).__name__,
            )
        finally:
            library.setLevel(logging.NOTSET)
