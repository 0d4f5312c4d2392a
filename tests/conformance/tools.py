"""The tools that the conformance suite calls.

Their names, arguments and answers are the suite's: each of its scenarios describes what it wants.
"""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp.shared.message import ServerMessageMetadata
from mcp_types import (
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    CallToolRequestParams,
    CallToolResult,
    ContentBlock,
    CreateMessageRequest,
    CreateMessageRequestParams,
    CreateMessageResult,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequest,
    InputRequiredResult,
    ListRootsRequest,
    SamplingMessage,
    TextContent,
    Tool,
)

from conformance.contents import AUDIO, IMAGE, embedded, text

Context = ServerRequestContext[Any, Any]
ToolAnswer = CallToolResult | InputRequiredResult
CallTool = Callable[[Context, CallToolRequestParams], Awaitable[ToolAnswer]]

_STRING = {"type": "string"}
_BOOLEAN = {"type": "boolean"}


def form(message: str, **properties: Any) -> ElicitRequest:
    """Return a request that has the user fill in a form with these properties."""
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=schema))


def _sample(prompt: str) -> CreateMessageRequest:
    message = SamplingMessage(role="user", content=TextContent(type="text", text=prompt))
    return CreateMessageRequest(
        params=CreateMessageRequestParams(messages=[message], max_tokens=100)
    )


def _saying(words: str) -> CallToolResult:
    return CallToolResult(content=[text(words)])


def _answering(*content: ContentBlock, is_error: bool = False) -> CallTool:
    async def call(_: Context, __: CallToolRequestParams) -> CallToolResult:
        return CallToolResult(content=list(content), is_error=is_error)

    return call


async def _log(context: Context, _: CallToolRequestParams) -> CallToolResult:
    for step in ("started", "processing", "completed"):
        await context.session.send_log_message(
            "info", f"Tool execution: {step}", related_request_id=context.request_id
        )
    return _saying("Logged.")


async def _report_progress(context: Context, _: CallToolRequestParams) -> CallToolResult:
    for done in (0, 50, 100):
        await context.session.report_progress(done, 100)
    return _saying("Done.")


async def _require_sampling(context: Context, _: CallToolRequestParams) -> CallToolResult:
    declared = context.session.client_capabilities
    if declared is None or declared.sampling is None:
        raise MCPError(
            code=MISSING_REQUIRED_CLIENT_CAPABILITY,
            message="This tool needs a client that samples.",
            data={"requiredCapabilities": {"sampling": {}}},
        )
    return _saying("The client samples.")


# Up to 2025-11-25 a server asks its client within a call, with a request of its own.


async def _request_sampling(context: Context, params: CallToolRequestParams) -> CallToolResult:
    prompt = (params.arguments or {})["prompt"]
    during = ServerMessageMetadata(related_request_id=context.request_id)
    result = await context.session.send_request(
        _sample(prompt), CreateMessageResult, metadata=during
    )
    return _saying(f"LLM response: {result.content}")


def _requesting_form(**properties: Any) -> CallTool:
    async def call(context: Context, params: CallToolRequestParams) -> CallToolResult:
        message = (params.arguments or {}).get("message", "Please fill in the form.")
        during = ServerMessageMetadata(related_request_id=context.request_id)
        result = await context.session.send_request(
            form(message, **properties), ElicitResult, metadata=during
        )
        return _saying(f"User response: {result.action}, {json.dumps(result.content)}")

    return call


# Since 2026-07-28 it answers with what it needs, and the client calls once more.


def _needing(state: str | None = None, **requests: InputRequest) -> CallTool:
    async def call(_: Context, params: CallToolRequestParams) -> ToolAnswer:
        responses = params.input_responses or {}
        if responses.keys() >= requests.keys() and params.request_state == state:
            return _saying(f"Received: {', '.join(requests)}.")
        return InputRequiredResult(input_requests=requests, request_state=state)

    return call


async def _need_two_rounds(_: Context, params: CallToolRequestParams) -> ToolAnswer:
    responses = params.input_responses or {}
    if params.request_state == "2" and "step2" in responses:
        return _saying("Received both.")
    if params.request_state == "1" and "step1" in responses:
        color = form("Step 2: What is your favorite color?", color=_STRING)
        return InputRequiredResult(input_requests={"step2": color}, request_state="2")
    name = form("Step 1: What is your name?", name=_STRING)
    return InputRequiredResult(input_requests={"step1": name}, request_state="1")


async def _need_what_is_declared(context: Context, _: CallToolRequestParams) -> ToolAnswer:
    declared = context.session.client_capabilities
    requests: dict[str, InputRequest] = {}
    if declared is not None and declared.sampling is not None:
        requests["sample"] = _sample("Say hello")
    if declared is not None and declared.elicitation is not None:
        requests["ask"] = form("What is your name?", name=_STRING)
    return InputRequiredResult(input_requests=requests, request_state="asked")


def _titled(**titles: str) -> list[dict[str, str]]:
    return [{"const": value, "title": title} for value, title in titles.items()]


CALLS: dict[str, CallTool] = {
    "test_simple_text": _answering(text("This is a simple text response for testing.")),
    "test_image_content": _answering(IMAGE),
    "test_audio_content": _answering(AUDIO),
    "test_embedded_resource": _answering(embedded("test://embedded-resource")),
    "test_multiple_content_types": _answering(
        text("Multiple content types test:"), IMAGE, embedded("test://mixed-content-resource")
    ),
    "test_error_handling": _answering(
        text("This tool intentionally returns an error for testing"), is_error=True
    ),
    "test_tool_with_logging": _log,
    "test_logging_tool": _log,
    "test_tool_with_progress": _report_progress,
    "test_missing_capability": _require_sampling,
    "test_sampling": _request_sampling,
    "test_elicitation": _requesting_form(username=_STRING, email=_STRING),
    "test_elicitation_sep1034_defaults": _requesting_form(
        name={"type": "string", "default": "John Doe"},
        age={"type": "integer", "default": 30},
        score={"type": "number", "default": 95.5},
        status={"type": "string", "enum": ["active", "inactive"], "default": "active"},
        verified={"type": "boolean", "default": True},
    ),
    "test_elicitation_sep1330_enums": _requesting_form(
        untitledSingle={"type": "string", "enum": ["option1", "option2"]},
        titledSingle={"type": "string", "oneOf": _titled(value1="First", value2="Second")},
        legacyEnum={"type": "string", "enum": ["opt1"], "enumNames": ["Option One"]},
        untitledMulti={
            "type": "array",
            "items": {"type": "string", "enum": ["option1", "option2"]},
        },
        titledMulti={
            "type": "array",
            "items": {"anyOf": _titled(value1="First", value2="Second")},
        },
    ),
    "test_streaming_elicitation": _needing(ok=form("Please confirm", ok=_BOOLEAN)),
    "test_input_required_result_elicitation": _needing(
        user_name=form("What is your name?", name=_STRING)
    ),
    "test_input_required_result_sampling": _needing(
        capital_question=_sample("What is the capital of France?")
    ),
    "test_input_required_result_list_roots": _needing(client_roots=ListRootsRequest()),
    "test_input_required_result_request_state": _needing(
        "asked", confirm=form("Please confirm", ok=_BOOLEAN)
    ),
    "test_input_required_result_multiple_inputs": _needing(
        "asked",
        user_name=form("What is your name?", name=_STRING),
        greeting=_sample("Generate a greeting"),
        client_roots=ListRootsRequest(),
    ),
    "test_input_required_result_multi_round": _need_two_rounds,
    "test_input_required_result_tampered_state": _needing(
        "asked", confirm=form("Please confirm", ok=_BOOLEAN)
    ),
    "test_input_required_result_capabilities": _need_what_is_declared,
}


def tool_named(name: str) -> Tool:
    """Return what is published of a tool of the suite's."""
    return Tool(name=name, description="Of the suite.", input_schema={"type": "object"})
