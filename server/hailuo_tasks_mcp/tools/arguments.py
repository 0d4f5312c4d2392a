"""Argument types that tools share, and how their refusals are worded.

Arguments are validated with the effective `Settings` as pydantic's context.
"""

import re
from collections.abc import Iterable
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
)
from pydantic_core import PydanticCustomError

from hailuo_tasks_mcp.redaction import Redactor
from hailuo_tasks_mcp.settings import Settings
from hailuo_tasks_mcp.text import clean_text

MAX_TASK_IDS = 100
MAX_TASK_ID_LENGTH = 128

_MAX_SHOWN_PROBLEMS = 3
_MAX_SHOWN_NAME_LENGTH = 64


class Arguments(BaseModel):
    """Base of the arguments of every tool."""

    model_config = ConfigDict(extra="forbid", frozen=True)


# Punctuation alone, as is left over where an object is split, is none.
_TASK_ID = re.compile(rf"(?=.*[A-Za-z0-9])[A-Za-z0-9_.:-]{{1,{MAX_TASK_ID_LENGTH}}}")
_UUID = re.compile(
    r"(?<![0-9a-z])[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(?![0-9a-z])",
    re.IGNORECASE,
)
# Quotes and brackets in which people and models put an id.
_AROUND_AN_ID = " \t\r\n\"'`<>()[]{}“”‘’「」"
# More of a text is not searched for an id.
_MAX_SEARCHED_LENGTH = 2_000
# More values are refused by their number alone, however often they repeat one another.
_MAX_GIVEN_IDS = 1_000
# What so many take as one string, with what is around each; a longer one is not split.
_MAX_GIVEN_LENGTH = _MAX_GIVEN_IDS * (MAX_TASK_ID_LENGTH + 16)


def find_task_id(text: str) -> str | None:
    """Return the one task id that a text is or holds; None if there is none, or more than one.

    An id may have something around it (quotes, `task_id: …`, a URL, `….mp4`) if it is a UUID, whose
    case does not matter.
    """
    if len(text) > _MAX_SEARCHED_LENGTH:
        return None
    found = {uuid.lower() for uuid in _UUID.findall(text)}
    if found:
        return found.pop() if len(found) == 1 else None
    bare = text.strip(_AROUND_AN_ID)
    return bare if _TASK_ID.fullmatch(bare) else None


def redacted_no_ids(texts: Iterable[str], redactor: Redactor) -> dict[str, str]:
    """Return those texts that are no task ids, each with what may be shown of it.

    They are redacted before they are cut, because the cut could go through a token.
    """
    return {text: redactor.redact(text) for text in texts if not find_task_id(text)}


def _one_task_id(text: str) -> str:
    task_id = find_task_id(text)
    if task_id is not None:
        return task_id
    if not text or text.isspace():
        raise PydanticCustomError("string_too_short", "")
    searched = text[:_MAX_SEARCHED_LENGTH]
    uuids = _UUID.findall(searched)
    if len(uuids) > 1:
        raise PydanticCustomError("several_ids", "")
    too_long = len(searched.strip()) > MAX_TASK_ID_LENGTH and not uuids
    raise PydanticCustomError("string_too_long" if too_long else "string_pattern_mismatch", "")


TaskId = Annotated[str, AfterValidator(_one_task_id)]


# No id holds any of these; hosts and models write lists with all of them.
_ID_SEPARATORS = re.compile(r"""[\s,;，、；"'\[\]]+""")
# Of other lists: no word holds any of these.
_WORD_SEPARATORS = re.compile(r"[\W_]+")
# What is left between them: punctuation, and names such as `task_ids:`.
_NO_ID = re.compile(r"[\W_]*|(task[_-]?)?ids?\s*[:=]?", re.IGNORECASE)


def _split_ids(value: object) -> object:
    """Split a list that arrived as one string: JSON, "a, b", or a bare id."""
    if isinstance(value, str):
        if len(value) > _MAX_GIVEN_LENGTH:
            raise PydanticCustomError(
                "ids_length",
                "takes 1 to {maximum} different ids in one call, not {length} characters of text",
                {"maximum": MAX_TASK_IDS, "length": len(value)},
            )
        parts = _ID_SEPARATORS.split(value)
        value = [part for part in parts if not _NO_ID.fullmatch(part)]
    if isinstance(value, list) and len(value) > _MAX_GIVEN_IDS:
        raise _wrong_count(len(value))
    return value


def split_words(value: object) -> object:
    """Split a list of words that arrived as one string; null is none."""
    if value is None:
        return []
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list):
        return texts
    too_many = len(texts) > _MAX_GIVEN_IDS
    if not too_many and not all(isinstance(text, str) for text in texts):
        return texts
    if too_many or sum(map(len, texts)) > _MAX_SEARCHED_LENGTH:
        raise PydanticCustomError("words_length", "is too long")
    words = (word for text in texts for word in _WORD_SEPARATORS.split(text.lower()))
    return list(dict.fromkeys(filter(None, words)))


def _deduplicate(texts: list[str]) -> list[str]:
    """Return each id once; what is none is kept, because it is answered as such.

    Of a text that is too long to be searched, so much is kept that it stays so.
    """
    kept = _MAX_SEARCHED_LENGTH + 1
    unique = list(dict.fromkeys(find_task_id(text) or text.strip()[:kept] for text in texts))
    if not 1 <= len(unique) <= MAX_TASK_IDS:
        raise _wrong_count(len(unique))
    return unique


def _wrong_count(count: int) -> PydanticCustomError:
    return PydanticCustomError(
        "ids_count",
        "takes 1 to {maximum} different ids in one call, not {count}",
        {"maximum": MAX_TASK_IDS, "count": count},
    )


TaskIds = Annotated[
    list[str],
    BeforeValidator(_split_ids),
    AfterValidator(_deduplicate),
    # Published, but counted without repeats.
    Field(json_schema_extra={"minItems": 1, "maxItems": MAX_TASK_IDS}),
]


def null_is(default: float) -> BeforeValidator:
    """Take null for a default, which some hosts fill in, and no boolean for a number."""

    def validate(value: object) -> object:
        if isinstance(value, bool):
            kind = "int_type" if isinstance(default, int) else "float_type"
            raise PydanticCustomError(kind, "")
        return default if value is None else value

    return BeforeValidator(validate)


def _up_to_maximum(wait_seconds: int, info: ValidationInfo) -> int:
    settings = info.context
    assert isinstance(settings, Settings)  # noqa: S101 - see the module's docstring
    maximum = settings.max_wait_seconds
    if not 0 <= wait_seconds <= maximum:
        raise PydanticCustomError("wait_seconds", "must be 0 to {maximum}", {"maximum": maximum})
    return wait_seconds


WaitSeconds = Annotated[
    int,
    null_is(0),
    AfterValidator(_up_to_maximum),
    Field(
        description="Seconds to wait for running tasks to end; answers as soon as they have. "
        "0: at once.",
        # The maximum depends on the settings, so the tool adds it.
        json_schema_extra={"minimum": 0},
    ),
]


def describe_problems(error: ValidationError, redactor: Redactor) -> str:
    """Return what is wrong with arguments, without repeating their values."""
    problems = []

    def safe(step: int | str) -> str:
        return clean_text(redactor.redact(str(step)), _MAX_SHOWN_NAME_LENGTH)

    details = error.errors(include_url=False, include_input=False, include_context=False)
    for detail in details[:_MAX_SHOWN_PROBLEMS]:
        name, *path = map(safe, detail["loc"])
        place = f"`{name}`" + "".join(f" item {int(step) + 1}" for step in path)
        problems.append(f"{place} {_PROBLEMS.get(detail['type'], detail['msg'])}")
    hidden = len(details) - len(problems)
    shown = "; ".join(problems)
    return shown + (f"; and {hidden} more" if hidden > 0 else "")


_PROBLEMS = {
    "extra_forbidden": "is not an argument of this tool",
    "missing": "is required",
    "string_type": "must be a string",
    "string_unicode": "must be well-formed text",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a whole number",
    "int_from_float": "must be a whole number",
    "finite_number": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "list_type": "must be a list of strings",
    "string_too_short": "must not be blank",
    "string_too_long": f"must be at most {MAX_TASK_ID_LENGTH} characters long",
    "several_ids": "must be one task id, and this holds several",
    "string_pattern_mismatch": "may only hold letters, digits, '-', '_', '.' and ':'",
}
