"""The videos of made-up tasks: one small MP4, which can be played, for all of them."""

import re
from collections.abc import Callable
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

PATH = "/{task_id}.mp4"

_RANGE = re.compile(r"bytes=([0-9]{1,9})-([0-9]{0,9})")


class Videos:
    """Serves the video of each task that has one.

    Args:
        has_video: returns whether a task has a video at the sandbox by now.

    """

    def __init__(self, has_video: Callable[[str], bool]) -> None:
        self._has_video = has_video
        self._content = Path(__file__).with_name("video.mp4").read_bytes()

    async def on_request(self, request: Request) -> Response:
        """Answer a GET, with the range that is asked for."""
        if "origin" in request.headers:
            return PlainTextResponse("The sandbox answers no web pages.", status_code=403)
        if not self._has_video(request.path_params["task_id"]):
            return PlainTextResponse("There is no such video.", status_code=404)
        content, size = self._content, len(self._content)
        headers = {"accept-ranges": "bytes"}
        asked = _RANGE.fullmatch(request.headers.get("range", ""))
        if asked is None:
            return Response(content, headers=headers, media_type="video/mp4")
        first, last = int(asked[1]), min(int(asked[2] or size - 1), size - 1)
        if first > last:
            headers["content-range"] = f"bytes */{size}"
            return Response(status_code=416, headers=headers)
        headers["content-range"] = f"bytes {first}-{last}/{size}"
        part = content[first : last + 1]
        return Response(part, status_code=206, headers=headers, media_type="video/mp4")
