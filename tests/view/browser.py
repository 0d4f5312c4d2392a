"""Shows the view in Chromium, in a host made of the reference code, beside the real product.

The product is reached over Streamable HTTP; behind it is a stand-in for the platform, whose file
hosts are a server on 127.0.0.1. In the page time passes only when a test says so.
"""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import trustme
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Route

from hailuo_tasks_mcp.server import create_server
from hailuo_tasks_mcp.tasks.waits import Waits
from hailuo_tasks_mcp.transports.streamable_http.app import HttpApp, caller_of_request
from hailuo_tasks_mcp.transports.streamable_http.options import HttpOptions
from hailuo_tasks_mcp.view.resource import FILE_HOSTS
from helpers import NOW, TIMEOUT_SECONDS, Json, settings
from http_app import lifespan
from stdio_process import MODERN_VERSION
from two_services import TwoServices
from view.needs import HOST_SCRIPT, chromium

if TYPE_CHECKING:
    import re

    from playwright.async_api import Browser, ConsoleMessage, Frame, FrameLocator, Locator, Page
    from playwright.async_api import Request as PageRequest

HERE = Path(__file__).parent
VIDEO = HERE / "video.mp4"
VIDEO_URL = f"https://{FILE_HOSTS[0]}/video.mp4"
"""Plays; it is there under any name that ends so."""

VERSIONS = ("2025-06-18", MODERN_VERSION)
"""A revision with a handshake, and one without."""


METHODS = {
    "ui/initialize",
    "ui/notifications/initialized",
    "ui/notifications/size-changed",
    "tools/call",
    "ui/open-link",
    "ui/download-file",
    "ui/request-display-mode",
    # Of the tests themselves, and of the sandbox.
    "notifications/message",
    "ui/notifications/sandbox-proxy-ready",
}
"""All that a view may send."""

# No service of the browser's maker, and no name but those of the tests, is ever looked up.
_ARGUMENTS = (
    "--no-sandbox",
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--no-first-run", "--no-default-browser-check"),
)
_CAPABILITIES: Json = {"openLinks": {}, "downloadFile": {}, "serverTools": {}, "logging": {}}
_CONTEXT: Json = {
    "theme": "light",
    "locale": "en-US",
    "displayMode": "inline",
    "availableDisplayModes": ["inline", "fullscreen"],
}


def running(task_id: str, prompt: str = "A lighthouse in fog", age_seconds: float = 30) -> Json:
    """Return Hailuo's record of a task that runs."""
    created_at = NOW - age_seconds
    times = {"created_at": created_at, "started_at": created_at + 1}
    request = {"action": "generate", "model": "minimax-t2v", "prompt": prompt}
    return {"id": task_id, **times, "request": request}


def ended(task_id: str, prompt: str = "A lighthouse in fog", **response: Any) -> Json:
    record = running(task_id, prompt, age_seconds=90)
    times = {"finished_at": record["created_at"] + 72, "elapsed": 71}
    return {**record, **times, "response": {"task_id": task_id, **response}}


def done(task_id: str, *urls: str, prompt: str = "A lighthouse in fog") -> Json:
    """Return Hailuo's record of a task that succeeded, by default with the video that plays."""
    videos = [
        {"model": "minimax-t2v", "prompt": prompt, "video_url": url, "state": "succeeded"}
        for url in urls or (VIDEO_URL,)
    ]
    return ended(task_id, prompt, success=True, data=videos)


def failed(task_id: str, message: str = "The prompt was rejected by the content policy.") -> Json:
    error = {"code": "content_policy", "message": message}
    return ended(task_id, success=False, error=error, trace_id=f"trace-{task_id}")


class Served(uvicorn.Server):
    """Serves an app beside others, and leaves signals to the tests."""

    def __init__(self, app: Any, **options: Any) -> None:
        super().__init__(uvicorn.Config(app, lifespan="off", log_config=None, **options))
        self.ready = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


@asynccontextmanager
async def serving(app: Any, **options: Any) -> AsyncIterator[int]:
    """Serve an app on 127.0.0.1; yield the port."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = Served(app, **options)
    task = asyncio.create_task(server.serve([listener]))
    await server.ready.wait()
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = server.force_exit = True
        await task


async def _page(request: Request) -> Response:
    """Serve the host page and its script."""
    name = request.path_params["name"]
    return FileResponse(HOST_SCRIPT if name == "host.js" else HERE / "host" / name)


async def _sandbox(request: Request) -> Response:
    """Serve the sandbox, with what a host makes of the view's `_meta.ui.csp`."""
    csp = json.loads(request.query_params["csp"])
    resources = " ".join(["data:", "blob:", *csp.get("resourceDomains", ())])
    policy = {
        "default-src": "'none'",
        "script-src": "'unsafe-inline'",
        "style-src": "'unsafe-inline'",
        **dict.fromkeys(("img-src", "font-src", "media-src"), resources),
        "connect-src": " ".join(csp.get("connectDomains", ())) or "'none'",
        "frame-src": " ".join(csp.get("frameDomains", ())) or "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    header = "; ".join(f"{name} {value}" for name, value in policy.items())
    html = (HERE / "host" / "sandbox.html").read_text(encoding="utf-8")
    return HTMLResponse(html, headers={"Content-Security-Policy": header})


async def _file(request: Request) -> Response:
    """Serve the video, in ranges, as the platform's file hosts do; any other name is not there."""
    if not request.url.path.endswith("video.mp4"):
        return Response(status_code=404)
    return FileResponse(VIDEO, media_type="video/mp4")


HOST = Starlette(routes=[Route("/{name}", _page)])
SANDBOX = Starlette(routes=[Route("/", _sandbox)])
FILES = Starlette(routes=[Route("/{path:path}", _file)])


class Platform(httpx.AsyncBaseTransport):
    """What is behind the product: both services, and the time that is there."""

    services: TwoServices
    now: float

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all tasks and faults, for the next test."""
        self.services = TwoServices()
        self.now = NOW

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self.services.handle_async_request(request)

    def know(self, *records: Json) -> None:
        """Have Hailuo know tasks, or what has become of them."""
        self.services.services["hailuo"].records |= {record["id"]: record for record in records}

    def fail(self, response: httpx.Response | None) -> None:
        """Have both services answer so; with None, as they did before."""
        for service in self.services.services.values():
            service.fault = lambda _: response


@dataclass(frozen=True)
class Stage:
    """What one browser and its servers are, for all tests."""

    browser: "Browser"
    platform: Platform
    host_url: str
    sandbox_url: str
    product_url: str


@asynccontextmanager
async def open_stage(folder: Path) -> AsyncIterator[Stage]:
    """Start the servers and the browser."""
    # Only where all that is needed is there; see `view.needs`.
    from playwright.async_api import async_playwright  # noqa: PLC0415

    key, chain = folder / "key.pem", folder / "chain.pem"
    certificate = trustme.CA().issue_cert(*FILE_HOSTS)
    certificate.private_key_pem.write_to_path(str(key))
    for pem in certificate.cert_chain_pems:
        pem.write_to_path(str(chain), append=True)
    platform = Platform()
    async with AsyncExitStack() as stack:
        files = await stack.enter_async_context(
            serving(FILES, ssl_keyfile=str(key), ssl_certfile=str(chain))
        )
        host_url = f"http://127.0.0.1:{await stack.enter_async_context(serving(HOST))}"
        sandbox = await stack.enter_async_context(serving(SANDBOX))
        waits, options = Waits(), HttpOptions(allowed_origins=(host_url,))
        server = create_server(
            settings(),
            transport=platform,
            caller_of=caller_of_request,
            reader="remote",
            waits=waits,
            now=lambda: platform.now,
        )
        app = HttpApp(server, settings(), options, waits=waits)
        await stack.enter_async_context(lifespan(app))
        product = await stack.enter_async_context(serving(app))
        names = [
            *(f"MAP {host} 127.0.0.1:{files}" for host in FILE_HOSTS),
            *("MAP * ~NOTFOUND", "EXCLUDE 127.0.0.1"),
        ]
        playwright = await stack.enter_async_context(async_playwright())
        browser = await playwright.chromium.launch(
            executable_path=chromium(),
            args=[*_ARGUMENTS, f"--host-resolver-rules={', '.join(names)}"],
        )
        stack.push_async_callback(browser.close)
        yield Stage(
            browser=browser,
            platform=platform,
            host_url=host_url,
            sandbox_url=f"http://127.0.0.1:{sandbox}/",
            product_url=f"http://127.0.0.1:{product}/mcp",
        )


@dataclass
class View:
    """The view in the page of a host, as its user has it before them."""

    page: "Page"
    stage: Stage
    token: str
    problems: list[str] = field(default_factory=list)
    """Errors of scripts, and what the policy refused."""
    requested: list[str] = field(default_factory=list)
    """What the view itself loaded."""
    _flushes: int = 0

    @property
    def platform(self) -> Platform:
        return self.stage.platform

    @property
    def content(self) -> "FrameLocator":
        return self.page.frame_locator("iframe").frame_locator("iframe")

    def tasks(self) -> "Locator":
        return self.content.get_by_role("article")

    def status(self, text: str) -> "Locator":
        return self.content.get_by_role("status").filter(has_text=text)

    def text(self, text: "str | re.Pattern[str]") -> "Locator":
        return self.content.get_by_text(text)

    def button(self, name: str) -> "Locator":
        return self.content.get_by_role("button", name=name, exact=True)

    def video(self) -> "Locator":
        return self.content.locator("video")

    async def open(
        self,
        tool: str = "retrieve_task",
        *,
        version: str = MODERN_VERSION,
        capabilities: Json | None = None,
        ignores_csp: bool = False,
        page: str = "host.html",
        **context: Any,
    ) -> Json:
        """Have the host put the view of a tool into its page; return what was negotiated."""
        product = {"url": self.stage.product_url, "token": self.token}
        await self.page.goto(f"{self.stage.host_url}/{page}")
        negotiated: Json = await self.host(
            "open",
            {
                "product": {**product, "version": version, "tool": tool},
                "sandboxUrl": self.stage.sandbox_url,
                "capabilities": _CAPABILITIES if capabilities is None else capabilities,
                "context": _CONTEXT | context,
                "ignoresCsp": ignores_csp,
            },
        )
        await self.pause()
        return negotiated

    async def call(self, **arguments: Any) -> None:
        """Have the model call the tool, and the host tell the view of it."""
        await self.host("call", arguments)
        await self.settle()

    async def show(self, *records: Json, **options: Any) -> None:
        """Open the view of one task, or of a batch of several."""
        self.platform.know(*records)
        if len(records) == 1:
            await self.open("retrieve_task", **options)
            await self.call(task_id=records[0]["id"])
        else:
            await self.open("retrieve_tasks_batch", **options)
            await self.call(task_ids=[record["id"] for record in records])

    async def tell(self, answer: Any, **arguments: Any) -> None:
        """Have the host tell the view of an answer that the product would not give."""
        await self.host("tell", answer, arguments)
        await self.settle()

    async def inside(self, script: str, argument: Any = None) -> Any:
        """Run a script in the frame of the view itself, for what no user sees."""
        frame = next(frame for frame in self.page.frames if _depth(frame) == 2)
        async with asyncio.timeout(TIMEOUT_SECONDS):
            return await frame.evaluate(script, argument)

    async def resize(self, width: int) -> None:
        """Make the page so wide; return once the view is."""
        await self.page.set_viewport_size({"width": width, "height": 800})
        await self.inside(
            """async (width) => {
                while (innerWidth !== width) {
                    await new Promise((resolve) =>
                        addEventListener("resize", resolve, { once: true }));
                }
            }""",
            width,
        )

    async def play(self, number: int = 0, *, until_seconds: float) -> None:
        """Play a video, without sound and from a little before; return once it is there."""
        await self.inside(
            """async ([number, seconds]) => {
                const video = document.querySelectorAll("video")[number];
                video.muted = true;
                video.currentTime = Math.max(0, seconds - 0.3);
                await video.play();
                while (video.currentTime < seconds) {
                    await new Promise((resolve) =>
                        video.addEventListener("timeupdate", resolve, { once: true }));
                }
            }""",
            [number, until_seconds],
        )

    async def host(self, method: str, *arguments: Any) -> Any:
        """Call a method of the host, or of its bridge."""
        script = f"given => host.{method}(...given)"
        async with asyncio.timeout(TIMEOUT_SECONDS):
            return await self.page.evaluate(script, list(arguments))

    async def asked(self, kind: str) -> Any:
        """Return what the host was asked: its `calls`, `links`, `downloads`, `modes` or `sizes`."""
        return await self.page.evaluate(f"host.{kind}")

    async def polls(self) -> list[str]:
        """Return which tools the view has called."""
        return [call["name"] for call in await self.asked("calls")]

    async def pause(self) -> None:
        """Stop the time of the page, in which no poll is due yet."""
        now: float = await self.page.evaluate("Date.now()")
        # Later than it will be by then, however slow the machine is.
        await self.page.clock.pause_at((now + 10_000) / 1000)

    async def advance(self, seconds: float) -> None:
        """Let time pass, for the page and for the product."""
        await self.settle()
        self.platform.now += seconds
        await self.page.clock.fast_forward(round(seconds * 1000))
        await self.settle()

    async def settle(self) -> None:
        """Return once all that was sent between view, host and product has arrived."""
        self._flushes += 1
        await self.inside(
            """(marker) => new Promise((resolve) => {
                addEventListener("message", function listen({ data }) {
                    if (data?.method !== `notifications/${marker}`) return;
                    removeEventListener("message", listen);
                    resolve();
                });
                const params = { level: "debug", data: marker };
                const message = { jsonrpc: "2.0", method: "notifications/message", params };
                parent.postMessage(message, "*");
            })""",
            f"flush-{self._flushes}",
        )

    def listen(self) -> None:
        """Keep what goes wrong in the page, and what the view loads."""
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("console", self._on_console)
        self.page.on("request", self._on_request)

    def _on_console(self, message: "ConsoleMessage") -> None:
        # A client of an older revision asks for a stream that there is not.
        is_page = not message.location["url"].startswith(self.stage.product_url)
        if message.type in {"error", "warning"} and is_page:
            self.problems.append(message.text)

    def _on_request(self, request: "PageRequest") -> None:
        if _depth(request.frame) == 2:
            self.requested.append(request.url)


def _depth(frame: "Frame") -> int:
    return 0 if frame.parent_frame is None else 1 + _depth(frame.parent_frame)
