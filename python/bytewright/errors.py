"""What can go wrong, as one tree of exceptions.

Every error of the package is a `BytewrightError`; each is also the built-in exception that a Python
user would expect (`ValueError`, `KeyError`). A message says what is wrong, where (file, line, JSON
path, byte offset, token id), the value, and what is allowed.

    BytewrightError
    ├── LoadError            the file is not a readable vocabulary
    │   ├── UnsupportedError readable, but it asks for what cannot be represented exactly
    │   └── PatternError     a regular expression that the linear-time engine cannot run
    ├── ArgumentError        an argument that no call of this kind may have
    ├── ArgumentTypeError    an argument of a type that the call does not take
    ├── UnknownTokenError    a token id outside the vocabulary
    ├── MissingExtraError    a library that an extra of the package installs
    └── DataError            input data that cannot be read
        ├── ResumeError      the output folder belongs to another run
        ├── VerifyError      stored output differs from its manifest
        └── LockedError      another process is writing to the same folder
"""

__all__ = [
    "ArgumentError",
    "ArgumentTypeError",
    "BytewrightError",
    "DataError",
    "LoadError",
    "LockedError",
    "MissingExtraError",
    "PatternError",
    "ResumeError",
    "UnknownTokenError",
    "UnsupportedError",
    "VerifyError",
]


class BytewrightError(Exception):
    """Base of every error that this package raises."""


class LoadError(BytewrightError, ValueError):
    """A file that is not a readable vocabulary."""


class UnsupportedError(LoadError):
    """A readable vocabulary with a part that cannot be represented exactly; the part is named."""


class PatternError(LoadError):
    """A regular expression that is malformed or that the linear-time engine cannot run."""


class ArgumentError(BytewrightError, ValueError):
    """An argument outside what the call allows."""


class ArgumentTypeError(BytewrightError, TypeError):
    """An argument of a type that the call does not take."""


class UnknownTokenError(BytewrightError, KeyError):
    """A token id outside the vocabulary, or a hole in it."""

    def __str__(self) -> str:
        # KeyError shows the repr of its argument, which would put quotes around the sentence.
        return Exception.__str__(self)


class MissingExtraError(BytewrightError, ImportError):
    """A library that is not installed; the message has the command that installs it."""


class DataError(BytewrightError, ValueError):
    """Input data that cannot be read; the message has the file, the row and the offset."""


class ResumeError(DataError):
    """What a run left belongs to another one, or is damaged; the message says which, and where."""


class VerifyError(DataError):
    """Stored output that differs from its manifest."""


class LockedError(DataError):
    """An output folder that another process is writing to."""
