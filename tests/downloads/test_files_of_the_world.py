"""What servers of files do to a download, and what is left of it in the folder."""

from pathlib import Path

import pytest

from file_server import (
    Act,
    FileServer,
    answers,
    breaks_off,
    endless,
    file_server,
    hangs,
    head,
    redirects,
    sends,
    serve,
    without_ranges,
)
from hailuo_tasks_mcp.downloads import download
from hailuo_tasks_mcp.errors import (
    DownloadInterruptedError,
    DownloadRefusedError,
    HailuoTasksError,
    NotAVideoError,
    VideoGoneError,
    VideoTooLargeError,
)
from helpers import TOKEN
from saving import NAME, contents, failure, save, saved
from video_files import box, mov, mp4, webm

pytestmark = pytest.mark.real_time

LARGE = mp4(600_000)
HTML = b"<!DOCTYPE html><html><body>Sign in</body></html>"


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "PAUSES_SECONDS", (0.0, 0.0, 0.0))


@pytest.mark.parametrize(
    ("content", "ending"), [(mp4(), "mp4"), (mov(), "mov"), (webm(), "webm"), (LARGE, "mp4")]
)
async def test_a_video_is_saved_under_the_ending_of_its_content(
    content: bytes, ending: str, tmp_path: Path
) -> None:
    async with file_server() as files:
        path = saved(await save(files.link("/v.avi", serve(content)), tmp_path))

    assert path == tmp_path / f"{NAME}.{ending}"
    assert contents(tmp_path) == {path.name: content}


async def test_no_token_cookie_or_referer_is_sent_and_nothing_but_the_video_asked_for(
    tmp_path: Path,
) -> None:
    async with file_server() as files:
        link = files.link("/v?signature=abc", serve(mp4(), set_cookie="a=b"))
        saved(await save(link, tmp_path, api_token="planted-token-0123456789"))

    (request,) = files.requests
    names = [line.partition(":")[0].lower() for line in request.head.split("\r\n")[1:] if line]
    assert sorted(names) == ["accept", "accept-encoding", "host", "user-agent"]
    assert "planted" not in request.head
    assert request.header("accept-encoding") == "identity"


@pytest.mark.parametrize("reset", [True, False])
async def test_what_breaks_off_is_taken_up_where_it_stopped(reset: bool, tmp_path: Path) -> None:
    async with file_server() as files:
        link = files.link("/v", breaks_off(LARGE, 400_000, reset=reset), serve(LARGE))
        path = saved(await save(link, tmp_path))

    assert path.read_bytes() == LARGE
    # What a reset leaves of what was sent is the system's to say.
    start = files.requests[1].start
    assert reset or start == 400_000 - download.OVERLAP_BYTES


async def test_a_download_is_attempted_four_times_and_its_part_is_left_to_be_taken_up(
    tmp_path: Path,
) -> None:
    places = [200_000, 300_000, 400_000, 500_000]
    async with file_server() as files:
        acts = [breaks_off(LARGE, place) for place in places]
        link = files.link("/v", *acts, serve(LARGE))
        message = failure(await save(link, tmp_path), DownloadInterruptedError)
        left = contents(tmp_path)
        path = saved(await save(link, tmp_path))

    assert "broke off" in message
    assert left == {f"{NAME}.part": LARGE[:500_000]}
    assert len(files.requests) == 5
    assert contents(tmp_path) == {path.name: LARGE}


async def test_what_breaks_off_too_early_to_be_taken_up_leaves_nothing(tmp_path: Path) -> None:
    async with file_server() as files:
        link = files.link("/v", breaks_off(LARGE, download.OVERLAP_BYTES))
        failure(await save(link, tmp_path), DownloadInterruptedError)

    assert files.ranges == [None] * 4
    assert contents(tmp_path) == {}


async def test_a_server_that_ignores_ranges_is_asked_for_none_again(tmp_path: Path) -> None:
    (tmp_path / f"{NAME}.part").write_bytes(LARGE[:300_000])
    async with file_server() as files:
        link = files.link("/v", *[without_ranges(LARGE, after=300_000)] * 4)
        failure(await save(link, tmp_path), DownloadInterruptedError)

    assert files.ranges == ["bytes=236000-", None, None, None]
    assert contents(tmp_path) == {}


@pytest.mark.parametrize(
    "act",
    [
        redirects("http://files.test/v"),
        redirects("https://10.0.0.1/v"),
        redirects("ftp://files.test/v"),
        answers("400 Bad Request"),
    ],
)
async def test_what_came_before_outlives_a_refusal(act: Act, tmp_path: Path) -> None:
    part = LARGE[:300_000]
    (tmp_path / f"{NAME}.part").write_bytes(part)
    async with file_server() as files:
        link = files.link("/v", act, serve(LARGE))
        failure(await save(link, tmp_path), DownloadRefusedError)
        left = contents(tmp_path)
        path = saved(await save(link, tmp_path))

    assert left == {f"{NAME}.part": part}
    assert path.read_bytes() == LARGE


@pytest.mark.parametrize(
    "act",
    [
        redirects(f"{TOKEN}://x"),
        # So that what is said of it is cut in its middle.
        *(redirects(f"{'x' * before}{TOKEN}://x") for before in (45, 50, 55)),
        *(
            sends(f"HTTP/1.1 200 OK\r\n{'x' * before}{TOKEN}\r\n\r\n".encode())
            for before in (0, 60, 70, 75, 80)
        ),
    ],
)
async def test_no_reason_holds_the_token(act: Act, tmp_path: Path) -> None:
    async with file_server() as files:
        result = await save(files.link("/v", act), tmp_path)

    assert result.failure is not None
    assert TOKEN[:9] not in result.failure.message


async def test_chunks_are_believed_where_a_length_contradicts_them(tmp_path: Path) -> None:
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(LARGE), LARGE)
    lines = head("200 OK", transfer_encoding="chunked", content_length=len(LARGE) + 9)
    async with file_server() as files:
        path = saved(await save(files.link("/v", sends(lines + body)), tmp_path))

    assert path.read_bytes() == LARGE


async def test_a_server_that_ignores_ranges_has_the_file_begun_anew_and_leaves_no_part(
    tmp_path: Path,
) -> None:
    async with file_server() as files:
        link = files.link("/v", breaks_off(LARGE, 300_000), without_ranges(LARGE))
        path = saved(await save(link, tmp_path / "once"))
        never = [breaks_off(LARGE, 300_000), without_ranges(LARGE, after=300_000)]
        other = files.link("/w", *never)
        failure(await save(other, tmp_path / "never"), DownloadInterruptedError)

    assert path.read_bytes() == LARGE
    assert files.targets.count("/v") == 2
    assert contents(tmp_path / "never") == {}


@pytest.mark.parametrize(
    "act",
    [
        answers("416 Range Not Satisfiable"),
        answers("206 Partial", LARGE[7:], content_range=f"bytes 7-{len(LARGE) - 1}/{len(LARGE)}"),
        answers("206 Partial", LARGE[7:], content_range="bytes 7"),
        answers("206 Partial", LARGE[7:]),
        answers("206 Partial", LARGE, content_range="bytes 336000-336001/5"),
    ],
)
async def test_a_wrong_range_has_the_file_begun_anew(act: Act, tmp_path: Path) -> None:
    async with file_server() as files:
        link = files.link("/v", breaks_off(LARGE, 400_000), act, serve(LARGE))
        path = saved(await save(link, tmp_path))

    assert path.read_bytes() == LARGE
    assert files.ranges == [None, "bytes=336000-", None]


def part_of(content: bytes, start: int, end: int, total: str) -> Act:
    """Send a part of a file, whatever range is asked for."""
    span = f"bytes {start}-{end - 1}/{total}"
    return answers("206 Partial", content[start:end], content_range=span)


async def test_a_range_may_come_in_several_parts(tmp_path: Path) -> None:
    async with file_server() as files:
        part = part_of(LARGE, 336_000, 500_000, str(len(LARGE)))
        link = files.link("/v", breaks_off(LARGE, 400_000), part, serve(LARGE))
        path = saved(await save(link, tmp_path))

    assert path.read_bytes() == LARGE
    assert files.ranges == [None, "bytes=336000-", "bytes=436000-"]


async def test_a_range_of_a_file_of_unknown_length_is_taken(tmp_path: Path) -> None:
    async with file_server() as files:
        part = part_of(LARGE, 336_000, len(LARGE), "*")
        link = files.link("/v", breaks_off(LARGE, 400_000), part)
        path = saved(await save(link, tmp_path))

    assert path.read_bytes() == LARGE


async def test_a_file_that_changes_between_attempts_is_begun_anew(tmp_path: Path) -> None:
    other = mp4(600_000, seed=2)
    async with file_server() as files:
        link = files.link("/v", breaks_off(LARGE, 400_000), serve(other))
        path = saved(await save(link, tmp_path))

    assert path.read_bytes() == other
    assert files.ranges == [None, "bytes=336000-", None]


async def test_a_range_is_asked_for_of_the_same_file_where_the_server_names_it(
    tmp_path: Path,
) -> None:
    async with file_server() as files:
        first = sends(head("200 OK", content_length=len(LARGE), etag='"one"'), LARGE[:400_000])
        link = files.link("/v", first, serve(LARGE))
        saved(await save(link, tmp_path))

    assert files.requests[1].header("if-range") == '"one"'


async def test_a_part_that_holds_something_else_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / f"{NAME}.part").write_bytes(bytes(100_000))
    async with file_server() as files:
        path = saved(await save(files.link("/v", serve(LARGE)), tmp_path))

    assert files.ranges == [None]
    assert contents(tmp_path) == {path.name: LARGE}


async def test_a_part_that_is_complete_is_compared_and_renamed(tmp_path: Path) -> None:
    (tmp_path / f"{NAME}.part").write_bytes(LARGE)
    async with file_server() as files:
        path = saved(await save(files.link("/v", serve(LARGE)), tmp_path))

    assert files.ranges == ["bytes=536000-"]
    assert contents(tmp_path) == {path.name: LARGE}


async def test_a_video_that_is_there_is_not_fetched_again(tmp_path: Path) -> None:
    async with file_server() as files:
        link = files.link("/v", serve(LARGE))
        first, second = await save(link, tmp_path), await save(link, tmp_path)

    assert (first.was_there, second.was_there) == (False, True)
    assert saved(first) == saved(second)
    assert len(files.requests) == 1


TRUNCATED = LARGE[:500_000]


@pytest.mark.parametrize(
    ("act", "kind", "words"),
    [
        (answers("200 OK", HTML), NotAVideoError, "a web page"),
        (answers("200 OK", HTML, content_type="video/mp4"), NotAVideoError, "a web page"),
        (answers("200 OK", b'{"error": 1}'), NotAVideoError, "no video"),
        (answers("200 OK"), NotAVideoError, "an empty file"),
        (answers("200 OK", LARGE[:30]), NotAVideoError, "Only a part"),
        (answers("200 OK", TRUNCATED), NotAVideoError, "Only a part"),
        (answers("200 OK", box(b"ftyp", b"isom1234") * 5), NotAVideoError, "Only a part"),
        (answers("200 OK", mp4(brand=b"avif")), NotAVideoError, "no video"),
        (answers("200 OK", LARGE, content_encoding="gzip"), NotAVideoError, "compressed"),
        (answers("403 Forbidden", HTML), VideoGoneError, "HTTP 403"),
        (answers("404 Not Found", HTML), VideoGoneError, "HTTP 404"),
        (answers("410 Gone"), VideoGoneError, "HTTP 410"),
        (answers("418 Teapot"), DownloadRefusedError, "HTTP 418"),
        (answers("206 Partial", LARGE), DownloadRefusedError, "HTTP 206"),
        (answers("304 Not Modified"), DownloadRefusedError, "HTTP 304"),
    ],
)
@pytest.mark.parametrize("part", [None, LARGE[:300_000]])
async def test_what_is_no_whole_video_is_an_error_after_which_nothing_of_it_is_left(
    act: Act, kind: type[HailuoTasksError], words: str, part: bytes | None, tmp_path: Path
) -> None:
    if part is not None:
        (tmp_path / f"{NAME}.part").write_bytes(part)
    async with file_server() as files:
        message = failure(await save(files.link("/v", act), tmp_path), kind)

    assert words in message or (part and "HTTP 206" in words)
    assert len(files.requests) <= 2
    # What was refused says nothing of what came before.
    kept = {f"{NAME}.part": part} if part and kind is DownloadRefusedError else {}
    assert contents(tmp_path) == kept


async def test_a_file_shorter_than_its_length_says_is_an_error(tmp_path: Path) -> None:
    async with file_server() as files:
        longer = head("200 OK", content_length=len(LARGE) + 1) + LARGE
        message = failure(
            await save(files.link("/v", sends(longer)), tmp_path), DownloadInterruptedError
        )

    assert "broke off" in message
    assert list(contents(tmp_path)) in ([], [f"{NAME}.part"])


async def test_a_file_longer_than_its_length_says_is_no_whole_video(tmp_path: Path) -> None:
    async with file_server() as files:
        shorter = head("200 OK", content_length=len(LARGE) - 1) + LARGE
        message = failure(await save(files.link("/v", sends(shorter)), tmp_path), NotAVideoError)

    assert "Only a part" in message
    assert contents(tmp_path) == {}


async def test_a_file_without_a_length_that_ends_too_early_leaves_nothing(tmp_path: Path) -> None:
    async with file_server() as files:
        link = files.link("/v", sends(head("200 OK") + TRUNCATED))
        message = failure(await save(link, tmp_path / "never"), DownloadInterruptedError)
        other = files.link("/w", sends(head("200 OK") + LARGE))
        saved(await save(other, tmp_path / "once"))

    assert message == "The connection ended before the video did"
    assert files.targets.count("/v") == 4
    assert contents(tmp_path / "never") == {}


@pytest.mark.parametrize("status", ["408 Timeout", "429 Too Many", "500 x", "503 x", "504 x"])
async def test_a_passing_fault_is_attempted_again(status: str, tmp_path: Path) -> None:
    async with file_server() as files:
        path = saved(await save(files.link("/v", answers(status), serve(LARGE)), tmp_path))

    assert path.read_bytes() == LARGE


async def test_a_server_that_asks_for_a_long_pause_is_not_asked_again(tmp_path: Path) -> None:
    async with file_server() as files:
        link = files.link("/v", answers("503 Busy", retry_after=31))
        failure(await save(link, tmp_path), DownloadInterruptedError)

    assert len(files.requests) == 1


@pytest.mark.parametrize("beginning", [mp4(400), LARGE[:-1]])
async def test_a_file_without_an_end_is_bounded(beginning: bytes, tmp_path: Path) -> None:
    async with file_server() as files:
        link = files.link("/v", endless(beginning))
        message = failure(await save(link, tmp_path, max_video_mb=3), VideoTooLargeError)

    assert message == "It has more than 3 MB"
    assert contents(tmp_path) == {}


async def test_a_file_whose_length_says_that_it_is_too_large_is_not_read(tmp_path: Path) -> None:
    async with file_server() as files:
        link = files.link("/v", sends(head("200 OK", content_length=2_000_000_000) + LARGE))
        failure(await save(link, tmp_path), VideoTooLargeError)

    assert contents(tmp_path) == {}


async def test_a_server_that_hangs_is_given_up_and_what_came_is_taken_up(tmp_path: Path) -> None:
    async with file_server() as files:
        link = files.link("/v", hangs(LARGE, 300_000), serve(LARGE))
        path = saved(await save(link, tmp_path, stall_seconds=0.2))

    assert path.read_bytes() == LARGE
    assert files.ranges == [None, "bytes=236000-"]


def follow(files: FileServer, *locations: str) -> str:
    """Return a link that leads through these redirects."""
    for number, location in enumerate(locations):
        files.link(f"/{number}", redirects(location))
    return files.url + "/0"


async def test_up_to_three_redirects_are_followed_relative_ones_too(tmp_path: Path) -> None:
    async with file_server() as files:
        files.link("/3", serve(LARGE))
        link = follow(files, "/1", "2", f"{files.url}/3")
        path = saved(await save(link, tmp_path))

    assert path.read_bytes() == LARGE
    assert files.targets == ["/0", "/1", "/2", "/3"]


@pytest.mark.parametrize(
    ("locations", "words"),
    [
        (["/0"], "more than 3 redirects"),
        (["/1", "/0"], "more than 3 redirects"),
        (["/1", "/2", "/3", "/4"], "more than 3 redirects"),
        (["http://169.254.169.254/latest/meta-data"], "Only https"),
        (["https://169.254.169.254/latest/meta-data"], "not public"),
        (["https://[::ffff:169.254.169.254]/"], "not public"),
        (["https://10.0.0.1/v.mp4"], "not public"),
        (["https://2886729729/v.mp4"], "not public"),
        (["file:///etc/passwd"], "no URL"),
        (["file://127.0.0.1/etc/passwd"], "Only https"),
        (["ftp://127.0.0.1/v.mp4"], "Only https"),
        (["gopher://127.0.0.1/1"], "Only https"),
        (["http://cdn.test/v.mp4"], "Only https"),
        (["data:video/mp4;base64,AAAA"], "no URL"),
        (["https://"], "no URL"),
        (["https://a b/"], "no URL"),
        (["http://[::1"], "no URL"),
    ],
)
async def test_a_redirect_leads_nowhere_that_it_must_not(
    locations: list[str], words: str, tmp_path: Path
) -> None:
    async with file_server() as files:
        link = follow(files, *locations)
        message = failure(await save(link, tmp_path), DownloadRefusedError)

    assert words in message
    assert len(files.requests) <= 4
    assert contents(tmp_path) == {}


async def test_a_redirect_without_a_location_is_refused(tmp_path: Path) -> None:
    async with file_server() as files:
        link = files.link("/v", answers("302 Found"))
        failure(await save(link, tmp_path), DownloadRefusedError)

    assert contents(tmp_path) == {}


async def test_plain_http_to_this_machine_is_only_for_a_base_url_on_it(tmp_path: Path) -> None:
    async with file_server() as files:
        link = files.link("/v", serve(LARGE))
        result = await save(link, tmp_path, api_base_url="https://api.test")

    assert failure(result, DownloadRefusedError) == "Only https is fetched, not http:"
    assert files.requests == []


async def test_a_server_that_is_not_there_is_told_so(tmp_path: Path) -> None:
    async with file_server() as files:
        link = files.link("/v", serve(LARGE))
    result = await save(link, tmp_path)

    assert "cannot be reached" in failure(result, DownloadInterruptedError)
    assert contents(tmp_path) == {}
