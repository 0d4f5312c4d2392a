"""The answers: the JSON objects that a model gets, and their published schemas."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from hailuo_tasks_mcp.tasks.states import State

# An integer where it is whole: 32 says as much as 32.0.
Seconds = Annotated[int | float, WithJsonSchema({"type": "number"})]


class Answer(BaseModel):
    """What a tool returns to a model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def as_data(self) -> dict[str, Any]:
        """Return the answer as a JSON object, without empty fields."""
        return self.model_dump(exclude_none=True)


class TaskFailure(Answer):
    """Why a generation failed."""

    code: Annotated[
        str | None, Field(description="The API's code; `no_output`: ended without a video.")
    ] = None
    message: Annotated[str, Field(description="The reason, in the API's words.")]


class TaskSummary(Answer):
    """The answer for one task."""

    task_id: Annotated[str, Field(description="The id asked for.")]
    state: Annotated[State, Field(description="State of the generation.")]
    final: Annotated[
        bool, Field(description="True if asking again changes nothing, whatever the state.")
    ]
    video_urls: Annotated[
        list[str] | None, Field(description="The videos; only when succeeded.")
    ] = None
    more_videos: Annotated[int | None, Field(description="How many are not listed.")] = None
    failed_videos: Annotated[
        int | None, Field(description="How many videos failed beside those.")
    ] = None
    urls_expire_at: Annotated[
        str | None, Field(description="Date from which the links may no longer work.")
    ] = None
    error: Annotated[TaskFailure | None, Field(description="Why the generation failed.")] = None
    model: Annotated[str | None, Field(description="The model that made it.")] = None
    prompt: Annotated[str | None, Field(description="Somebody's text; may be cut.")] = None
    first_image_url: Annotated[str | None, Field(description="The image it starts from.")] = None
    created_at: Annotated[str | None, Field(description="UTC, ISO 8601.")] = None
    elapsed_seconds: Annotated[
        Seconds | None, Field(description="Length of the run; age of a task that still runs.")
    ] = None
    resolution: Annotated[str | None, Field(description="Of the video.")] = None
    video_seconds: Annotated[Seconds | None, Field(description="Length of the video.")] = None
    billed_seconds: Annotated[
        Seconds | None, Field(description="Seconds charged, if not video_seconds.")
    ] = None
    trace_id: Annotated[str | None, Field(description="For the vendor's support.")] = None
    next_step: Annotated[str | None, Field(description="What to do next.")] = None


class BatchSummary(Answer):
    """The answer for several tasks."""

    counts: Annotated[dict[str, int], Field(description="How many tasks are in each state.")]
    final: Annotated[bool, Field(description="True if asking again changes nothing.")]
    tasks: Annotated[list[TaskSummary], Field(description="The tasks, in the order asked.")]
    next_step: Annotated[str | None, Field(description="What to do next.")] = None


class ListedTask(Answer):
    """A task in a list: short, because there are many."""

    task_id: Annotated[str, Field(description="For retrieve_task.")]
    state: Annotated[State, Field(description="State of the generation.")]
    created_at: Annotated[str | None, Field(description="UTC, ISO 8601.")] = None
    video: Annotated[str | None, Field(description="Length and resolution of the video.")] = None
    url: Annotated[str | None, Field(description="The video; only when succeeded.")] = None
    more_videos: Annotated[int | None, Field(description="How many are not listed.")] = None


class RecentTasks(Answer):
    """The answer to which tasks there were."""

    tasks: Annotated[list[ListedTask], Field(description="The newest first, undated ones last.")]
    more: Annotated[
        int | None, Field(description="How many more there are, or are at least; see next_step.")
    ] = None
    left_out: Annotated[
        int | None, Field(description="How many of the API's records were of no use.")
    ] = None
    note: Annotated[str, Field(description="What cannot be listed.")]
    next_step: Annotated[str | None, Field(description="What to do next.")] = None
