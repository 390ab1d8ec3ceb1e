"""The errors a user can repair; anything else that escapes is a bug of ours."""


class ElmoCliError(Exception):
    """A failure whose message tells the user what is wrong, where, and what to do."""


class ConfigError(ElmoCliError):
    """An option, a configuration key or a combination of them is wrong (exit code 2)."""


class RunError(ElmoCliError):
    """A run directory exists already, is unfinished, damaged or cannot be written (exit code 2)."""


class DataError(ElmoCliError):
    """A table cannot be read, or what stands in it cannot be used (exit code 3)."""


class SourceError(ElmoCliError):
    """ELMo weights are not available, damaged or of an unknown kind (exit code 4)."""
