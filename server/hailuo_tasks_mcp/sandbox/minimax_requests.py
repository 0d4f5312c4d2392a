"""What `POST /minimax/videos` takes, checked as the contract says."""

from collections import Counter
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError

from hailuo_tasks_mcp.sandbox.tasks import Json
from hailuo_tasks_mcp.text import clean_text

MODEL = "MiniMax-H3"

_MAX_MEDIA = 12
_MAX_BY_ROLE = {
    "first_frame": 1,
    "last_frame": 1,
    "reference_image": 9,
    "reference_video": 3,
    "reference_audio": 3,
}
_FRAMES = {"first_frame", "last_frame"}
_MAX_REASON_LENGTH = 200


def _not_blank(text: str) -> str:
    if not text.strip():
        raise PydanticCustomError("blank", "must not be empty")
    return text


# A link that anyone can open, a file that was uploaded before, or the medium itself.
MediaUrl = Annotated[str, StringConstraints(pattern=r"^(https://|mm_file://|data:)\S+$")]
Text = Annotated[str, StringConstraints(max_length=7000), AfterValidator(_not_blank)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Source(_Strict):
    url: MediaUrl


class _TextItem(_Strict):
    type: Literal["text"]
    text: Text


class _ImageItem(_Strict):
    type: Literal["image_url"]
    image_url: _Source
    role: Literal["first_frame", "last_frame", "reference_image"]


class _VideoItem(_Strict):
    type: Literal["video_url"]
    video_url: _Source
    role: Literal["reference_video"]


class _AudioItem(_Strict):
    type: Literal["audio_url"]
    audio_url: _Source
    role: Literal["reference_audio"]


_Item = Annotated[_TextItem | _ImageItem | _VideoItem | _AudioItem, Field(discriminator="type")]


class VideoRequest(_Strict):
    """A request for a video.

    Attributes:
        duration: how long the video shall be, in seconds.
        in_background: whether the answer comes at once, and not when the video does.
        callback_url: whom the platform would tell the result; the sandbox tells nobody.

    """

    model: Literal["MiniMax-H3"]
    content: list[_Item]
    resolution: Literal["768P", "2K"]
    duration: Annotated[int, Field(ge=4, le=15)]
    ratio: Literal["21:9", "16:9", "4:3", "1:1", "3:4", "9:16", "adaptive"] | None = None
    in_background: bool = Field(default=False, alias="async")
    callback_url: Annotated[str, StringConstraints(pattern=r"^https?://\S+$")] | None = None

    @property
    def text(self) -> str:
        """The prompt."""
        return next(item.text for item in self.content if isinstance(item, _TextItem))

    @property
    def image_count(self) -> int:
        """How many images are given, of whatever role."""
        return sum(isinstance(item, _ImageItem) for item in self.content)

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        """Check what no field can be checked for alone."""
        roles = Counter(item.role for item in self.content if not isinstance(item, _TextItem))
        if len(self.content) - roles.total() != 1:
            raise _rule("content must hold exactly one text")
        if roles.total() > _MAX_MEDIA:
            raise _rule(f"content must not hold more than {_MAX_MEDIA} media")
        for role, count in roles.items():
            if count > _MAX_BY_ROLE[role]:
                raise _rule(f"content must not hold more than {_MAX_BY_ROLE[role]} of {role}")
        with_frames = bool(_FRAMES & roles.keys())
        if with_frames and roles.keys() - _FRAMES:
            raise _rule("content must not hold both frames and references")
        if not roles and self.ratio in {None, "adaptive"}:
            raise _rule("ratio is required without media, and cannot be adaptive then")
        if with_frames and self.ratio not in {None, "adaptive"}:
            raise _rule("ratio must be left out or adaptive with frames")
        return self


def read_video_request(body: Json) -> VideoRequest:
    """Return the request that a body holds.

    Raises:
        ValueError: it holds none; the text says why, fit to be shown.

    """
    try:
        return VideoRequest.model_validate(body)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
        name = ".".join(map(str, problem["loc"]))
        reason = ": ".join(filter(None, (name, problem["msg"])))
        raise ValueError(clean_text(reason, _MAX_REASON_LENGTH)) from None


def _rule(words: str) -> PydanticCustomError:
    return PydanticCustomError("rule", "{words}", {"words": words})
