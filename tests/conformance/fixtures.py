"""Adds to a server what the conformance suite expects to find: tools, prompts, resources and more.

They stand beside the server's own tools. That a request reaches them, and their answer the client,
is for the server and its transport to do.
"""

import re
from collections.abc import Mapping
from typing import Any

from mcp.server.context import HandlerResult
from mcp.server.lowlevel import Server
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    BlobResourceContents,
    CallToolRequestParams,
    CompleteRequestParams,
    CompleteResult,
    Completion,
    ContentBlock,
    EmptyResult,
    GetPromptRequestParams,
    GetPromptResult,
    InputRequiredResult,
    ListPromptsResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ListToolsResult,
    PaginatedRequestParams,
    Prompt,
    PromptArgument,
    PromptMessage,
    ReadResourceRequestParams,
    ReadResourceResult,
    RequestParams,
    Resource,
    ResourceTemplate,
    SetLevelRequestParams,
    SubscribeRequestParams,
    TextResourceContents,
    UnsubscribeRequestParams,
)

from conformance.contents import IMAGE, PNG, embedded, text
from conformance.mcp_tasks import SuiteTasks
from conformance.tools import CALLS, CallTool, Context, form, tool_named

_ASKING_PROMPT = "test_input_required_result_prompt"
_PROMPT_ARGUMENTS = {
    "test_simple_prompt": (),
    "test_prompt_with_arguments": ("arg1", "arg2"),
    "test_prompt_with_embedded_resource": ("resourceUri",),
    "test_prompt_with_image": (),
    _ASKING_PROMPT: (),
}
_TEXTS = {
    "test://static-text": "This is the content of the static text resource.",
    "test://watched-resource": "This is the content of the watched resource.",
}
_BINARY = "test://static-binary"
_TEMPLATE = "test://template/{id}/data"
_FROM_TEMPLATE = re.compile(r"test://template/([^/]+)/data")


def add_fixtures(server: Server[Any]) -> None:
    """Add the suite's tools and tasks to a server, and its prompts, resources and completions."""
    tasks = SuiteTasks()
    tasks.add_to(server)
    _add_tools(server, CALLS | tasks.calls)
    add = server.add_request_handler
    add("prompts/list", PaginatedRequestParams, _list_prompts)
    add("prompts/get", GetPromptRequestParams, _get_prompt)
    add("resources/list", PaginatedRequestParams, _list_resources)
    add("resources/templates/list", PaginatedRequestParams, _list_templates)
    add("resources/read", ReadResourceRequestParams, _read_resource)
    add("resources/subscribe", SubscribeRequestParams, _accept)
    add("resources/unsubscribe", UnsubscribeRequestParams, _accept)
    add("logging/setLevel", SetLevelRequestParams, _accept)
    add("completion/complete", CompleteRequestParams, _complete)
    # Seals what clients keep between two rounds of a call, and refuses what was changed.
    server.middleware.append(
        RequestStateBoundary(RequestStateSecurity.ephemeral(), default_audience=server.name)
    )


def _add_tools(server: Server[Any], calls: Mapping[str, CallTool]) -> None:
    own_list = server.get_request_handler("tools/list")
    own_call = server.get_request_handler("tools/call")
    assert own_list is not None
    assert own_call is not None

    async def list_tools(context: Context, params: PaginatedRequestParams) -> HandlerResult:
        own = await own_list.handler(context, params)
        assert isinstance(own, ListToolsResult)
        return ListToolsResult(tools=[*own.tools, *map(tool_named, calls)])

    async def call_tool(context: Context, params: CallToolRequestParams) -> HandlerResult:
        call = calls.get(params.name, own_call.handler)
        return await call(context, params)

    server.add_request_handler("tools/list", PaginatedRequestParams, list_tools)
    server.add_request_handler("tools/call", CallToolRequestParams, call_tool)


async def _list_prompts(_: Context, __: PaginatedRequestParams) -> ListPromptsResult:
    return ListPromptsResult(
        prompts=[
            Prompt(
                name=name,
                description="Of the suite.",
                arguments=[PromptArgument(name=each, required=True) for each in arguments],
            )
            for name, arguments in _PROMPT_ARGUMENTS.items()
        ]
    )


async def _get_prompt(
    _: Context, params: GetPromptRequestParams
) -> GetPromptResult | InputRequiredResult:
    arguments = params.arguments or {}
    contents: list[ContentBlock] = [text(f"{params.name}: {', '.join(arguments.values())}")]
    if params.name not in _PROMPT_ARGUMENTS:
        raise MCPError(code=INVALID_PARAMS, message="Unknown prompt")
    if params.name == _ASKING_PROMPT and "user_context" not in (params.input_responses or {}):
        question = form("What context should the prompt use?", context={"type": "string"})
        return InputRequiredResult(input_requests={"user_context": question})
    if params.name == "test_prompt_with_embedded_resource":
        contents.append(embedded(arguments["resourceUri"]))
    if params.name == "test_prompt_with_image":
        contents.append(IMAGE)
    return GetPromptResult(
        messages=[PromptMessage(role="user", content=content) for content in contents]
    )


async def _list_resources(_: Context, __: PaginatedRequestParams) -> ListResourcesResult:
    return ListResourcesResult(
        resources=[Resource(uri=uri, name=uri) for uri in (*_TEXTS, _BINARY)]
    )


async def _list_templates(_: Context, __: PaginatedRequestParams) -> ListResourceTemplatesResult:
    template = ResourceTemplate(uri_template=_TEMPLATE, name="template")
    return ListResourceTemplatesResult(resource_templates=[template])


async def _read_resource(_: Context, params: ReadResourceRequestParams) -> ReadResourceResult:
    uri = params.uri
    if uri == _BINARY:
        blob = BlobResourceContents(uri=uri, mime_type="image/png", blob=PNG)
        return ReadResourceResult(contents=[blob])
    made = _FROM_TEMPLATE.fullmatch(uri)
    content = f"Data for ID: {made[1]}" if made else _TEXTS.get(uri)
    if content is None:
        raise MCPError(code=INVALID_PARAMS, message="Unknown resource", data={"uri": uri})
    return ReadResourceResult(
        contents=[TextResourceContents(uri=uri, mime_type="text/plain", text=content)]
    )


async def _accept(_: Context, __: RequestParams) -> EmptyResult:
    return EmptyResult()


async def _complete(_: Context, params: CompleteRequestParams) -> CompleteResult:
    values = [f"{params.argument.value}-completed"]
    return CompleteResult(completion=Completion(values=values, total=1, has_more=False))
