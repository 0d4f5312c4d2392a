"""The view as a resource: who is told of it, what it may load, and what is in it."""

import json
import re
from html.parser import HTMLParser
from typing import Any, get_args

import pytest
from mcp import Client, MCPError
from mcp_types import INVALID_PARAMS, METHOD_NOT_FOUND, TextResourceContents

from hailuo_tasks_mcp.callers import Caller
from hailuo_tasks_mcp.server import create_server
from hailuo_tasks_mcp.settings import Settings
from hailuo_tasks_mcp.tasks.durations import LONGEST_USUAL_SECONDS, USUAL_DURATIONS
from hailuo_tasks_mcp.tasks.polling import pause_seconds
from hailuo_tasks_mcp.tasks.states import State
from hailuo_tasks_mcp.tools.catalog import tools_for
from hailuo_tasks_mcp.tools.lookup import LookupTool
from hailuo_tasks_mcp.view.resource import FILE_HOSTS, URI
from helpers import Json, example, settings
from http_app import (
    OLD_VERSIONS,
    VERSIONS,
    answer_of,
    initialize_of,
    post,
    request_of,
    result_of,
    running_app,
)
from repository import ROOT
from stdio_process import INITIALIZED, MODERN_VERSION, envelope, initialize, message, server_process
from two_services import TwoServices

MODES = ("legacy", MODERN_VERSION)
EXTENSION = "io.modelcontextprotocol/ui"
MIME_TYPE = "text/html;profile=mcp-app"
PAGE = ROOT / "server" / "hailuo_tasks_mcp" / "view" / "task.html"
META = {
    "ui": {
        "csp": {
            "resourceDomains": [
                "https://platform.cdn.acedata.cloud",
                "https://file.aigpai.com",
                "https://cdn.acedata.cloud",
                "https://platform2.cdn.acedata.cloud",
            ],
            "connectDomains": [],
        },
        "prefersBorder": True,
    }
}


async def read(mode: str = MODERN_VERSION) -> TextResourceContents:
    async with Client(create_server(settings()), mode=mode) as client:
        (contents,) = (await client.read_resource(URI)).contents
    assert isinstance(contents, TextResourceContents)
    return contents


class Elements(HTMLParser):
    """Finds the elements of a page, and the text of its scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.attributes: list[tuple[str, str, str]] = []
        self.scripts: list[str] = []
        self._in_script = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self._in_script = tag == "script"

    def handle_endtag(self, tag: str) -> None:
        self._in_script = self._in_script and tag != "script"

    def handle_data(self, data: str) -> None:
        if self._in_script:
            self.scripts.append(data)


async def facts() -> Json:
    """Return what the server filled in, as the page reads it."""
    filled_in, _ = Elements((await read()).text).scripts
    found: Json = json.loads(filled_in)
    return found


@pytest.mark.parametrize("mode", MODES)
async def test_one_resource_is_listed_and_read_with_what_it_may_load(mode: str) -> None:
    async with Client(create_server(settings()), mode=mode) as client:
        (listed,) = (await client.list_resources()).resources
        (contents,) = (await client.read_resource(listed.uri)).contents

    assert listed.uri == contents.uri == "ui://hailuo-tasks/task"
    assert listed.mime_type == contents.mime_type == MIME_TYPE
    assert listed.meta == contents.meta == META
    assert isinstance(contents, TextResourceContents)
    assert contents.text.startswith("<!doctype html>\n")


@pytest.mark.parametrize("mode", MODES)
async def test_the_look_ups_name_the_view_to_every_client(mode: str) -> None:
    async with Client(create_server(settings()), mode=mode) as client:
        tools = (await client.list_tools()).tools

    named = {"ui": {"resourceUri": URI, "visibility": ["model", "app"]}, "ui/resourceUri": URI}
    # A list is not shown in it.
    assert [tool.meta for tool in tools] == [named, named, None]


async def test_the_view_may_be_cached_by_anyone() -> None:
    async with Client(create_server(settings())) as client:
        listed = await client.list_resources()
        contents = await client.read_resource(URI)

    for result in (listed, contents):
        assert (result.ttl_ms, result.cache_scope) == (3_600_000, "public")


@pytest.mark.parametrize("mode", MODES)
async def test_an_unknown_resource_is_named_in_the_error(mode: str) -> None:
    async with Client(create_server(settings()), mode=mode) as client:
        with pytest.raises(MCPError) as caught:
            await client.read_resource("ui://hailuo-tasks/other")

    assert caught.value.error.code == INVALID_PARAMS
    assert caught.value.error.data == {"uri": "ui://hailuo-tasks/other"}
    assert URI in caught.value.error.message


async def test_an_unknown_resource_is_named_without_tokens_and_hidden_characters() -> None:
    server = create_server(
        settings(api_token=None), caller_of=lambda _: Caller("callers-own-token-4711")
    )
    async with Client(server) as client:
        with pytest.raises(MCPError) as caught:
            await client.read_resource(f"ui://callers-own-token-4711/\u202e{'x' * 5000}")

    uri = caught.value.error.data["uri"]
    assert uri.startswith("ui://[token]/xxx")
    assert len(uri) <= 1000


@pytest.mark.parametrize("mode", MODES)
async def test_an_unknown_cursor_of_resources_is_a_protocol_error(mode: str) -> None:
    async with Client(create_server(settings()), mode=mode) as client:
        with pytest.raises(MCPError) as caught:
            await client.list_resources(cursor="page-2")

    assert caught.value.error.code == INVALID_PARAMS
    assert "ask without one" in caught.value.error.message


@pytest.mark.parametrize("mode", MODES)
async def test_there_are_no_templates_of_resources(mode: str) -> None:
    async with Client(create_server(settings()), mode=mode) as client:
        with pytest.raises(MCPError) as caught:
            await client.list_resource_templates()

    assert caught.value.error.code == METHOD_NOT_FOUND


@pytest.mark.real_time
@pytest.mark.parametrize("version", OLD_VERSIONS)
async def test_clients_that_shake_hands_learn_of_views_over_stdio(version: str) -> None:
    async with server_process("--sandbox") as server:
        result = (await server.request(initialize(version)))["result"]
        server.stdin.write(INITIALIZED)
        listed = (await server.request(message(1, "resources/list")))["result"]
        contents = (await server.request(message(2, "resources/read", {"uri": URI})))["result"]

    assert result["protocolVersion"] == version
    assert result["capabilities"]["extensions"] == {EXTENSION: {}}
    assert "resources" in result["capabilities"]
    assert (listed["resources"][0]["mimeType"], listed["resources"][0]["_meta"]) == (
        MIME_TYPE,
        META,
    )
    assert (contents["contents"][0]["mimeType"], contents["contents"][0]["_meta"]) == (
        MIME_TYPE,
        META,
    )


@pytest.mark.real_time
async def test_clients_that_discover_learn_of_views_over_stdio() -> None:
    async with server_process("--sandbox") as server:
        found = (await server.request(message(1, "server/discover", envelope())))["result"]
        params = envelope(uri=URI)
        contents = (await server.request(message(2, "resources/read", params)))["result"]

    assert found["capabilities"]["extensions"][EXTENSION] == {}
    assert (contents["ttlMs"], contents["cacheScope"]) == (3_600_000, "public")
    assert contents["contents"][0]["_meta"] == META


@pytest.mark.parametrize("version", VERSIONS)
async def test_the_view_is_read_over_http_too(version: str) -> None:
    async with running_app(TwoServices()) as app:
        listed = result_of(await post(app, request_of(version, "resources/list")))
        contents = result_of(await post(app, request_of(version, "resources/read", uri=URI)))
        unknown = answer_of(await post(app, request_of(version, "resources/read", uri="ui://x")))

    assert listed["resources"][0]["uri"] == URI
    assert contents["contents"][0]["text"] == (await read()).text
    assert unknown["error"]["code"] == INVALID_PARAMS
    assert unknown["error"]["data"] == {"uri": "ui://x"}


@pytest.mark.parametrize("version", OLD_VERSIONS)
async def test_clients_that_shake_hands_learn_of_views_over_http(version: str) -> None:
    async with running_app(TwoServices()) as app:
        result = result_of(await post(app, initialize_of(version)))

    assert result["capabilities"]["extensions"] == {EXTENSION: {}}


async def test_requests_for_the_view_are_named_in_the_log_over_http(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    async with running_app(TwoServices()) as app:
        await post(app, request_of(MODERN_VERSION, "resources/list"))
        await post(app, request_of(MODERN_VERSION, "resources/read", uri=URI))

    lines = [line.partition(":")[0] for line in caplog.messages if line.startswith("/mcp")]
    assert lines == ["/mcp post resources/list", "/mcp post resources/read"]


def test_the_page_is_small() -> None:
    assert len(PAGE.read_bytes()) < 12_000


async def test_the_page_refers_to_nothing_outside_itself() -> None:
    page = (await read()).text
    links = {"href", "src", "srcset", "action", "data", "poster", "background"}

    assert [each for each in Elements(page).attributes if each[1] in links] == []
    addresses = set(re.findall(r"\b\w+://[\w.-]+", page))
    assert addresses == {f"https://{host}" for host in FILE_HOSTS}
    assert not re.search(r"@import|url\(|\bimport\b", page)


async def test_no_foreign_text_can_become_html_or_code() -> None:
    page = PAGE.read_text()

    sinks = r"""innerHTML|outerHTML|insertAdjacentHTML|setHTML|document\.write|srcdoc|DOMParser
        |createContextualFragment|eval\(|Function\(|javascript:|setTimeout\(["']|\.on\w+\s*="""
    assert re.findall(sinks, page, re.VERBOSE) == []


def test_the_height_of_the_page_does_not_depend_on_that_of_its_frame() -> None:
    assert re.findall(r"\d\s*[sld]?v(?:h|b|min|max)\b", PAGE.read_text()) == []


async def test_the_page_sends_no_requests_but_through_its_host() -> None:
    page = PAGE.read_text()

    assert re.findall(r"fetch\(|XMLHttpRequest|WebSocket|EventSource|sendBeacon", page) == []
    called = set(re.findall(r'name: "(retrieve_\w+)"', page))
    assert called == {tool.name for tool in tools_for(Settings()) if isinstance(tool, LookupTool)}
    assert page.count('"tools/call"') == 1


async def test_the_videos_of_the_documented_records_play_in_the_view() -> None:
    hosts = set(re.findall(r'"video_url": "https://([\w.]+)/', json.dumps(documented())))

    assert hosts
    assert hosts <= set(FILE_HOSTS)


def documented() -> list[Any]:
    return [example(name) for name in ("retrieve", "retrieve_timed", "retrieve_batch", "videos")]


async def test_the_page_knows_what_the_server_knows() -> None:
    known = await facts()

    assert known["origins"] == META["ui"]["csp"]["resourceDomains"]  # type: ignore[index]
    assert known["usual"] == {"hailuo": 120, "minimax": 420}
    pauses = known["pauses"]
    assert pauses == [pause_seconds(second) for second in range(len(pauses))]
    assert {pause_seconds(second) for second in range(len(pauses), 1800)} == {pauses[-1]}


def test_the_longest_usual_time_is_the_end_of_the_words_for_it() -> None:
    ends = {service: re.findall(r"\d+", words)[-1] for service, words in USUAL_DURATIONS.items()}

    assert {service: 60 * int(end) for service, end in ends.items()} == LONGEST_USUAL_SECONDS


async def test_the_page_has_words_in_both_languages_for_every_state_and_step() -> None:
    texts = dict(re.findall(r'(\w+): "([^"\n]*\|[^"\n]*)"', PAGE.read_text()))
    states = get_args(State)

    for key in (*states, *dict((await facts())["steps"])):
        english, chinese, *sign = texts[key].split("|")
        assert english.isascii()
        assert not chinese.isascii()
        assert bool(sign) is (key in states)


@pytest.mark.parametrize("name", ["retrieve_task", "retrieve_tasks_batch"])
async def test_what_is_filled_in_cannot_end_the_element_that_it_is_in(name: str) -> None:
    filled_in, script = Elements((await read()).text).scripts

    assert "<" not in filled_in
    assert name in script
