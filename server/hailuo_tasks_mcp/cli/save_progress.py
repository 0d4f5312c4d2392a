"""What a person sees while videos are saved: a bar for each on a terminal, lines elsewhere."""

import shutil
import sys
import time
from typing import TYPE_CHECKING, Any, Self

from hailuo_tasks_mcp.downloads.save import VideoSave

if TYPE_CHECKING:
    from tqdm import tqdm

_MB = 1_000_000
# Before the first line of a video that is not there yet, and between two.
_LINE_SECONDS = 10.0


def megabytes(count: int) -> str:
    """Return a number of bytes in MB, with as many digits as say something."""
    return f"{count / _MB:.1f}" if count >= _MB else f"{count / _MB:.3f}"


class SaveProgress:
    """Shows on stderr how far videos are.

    Args:
        count: how many there are.

    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._ended = 0
        self._bars: dict[str, tqdm[Any]] = {}
        self._line_at: dict[str, float] = {}
        self._on_terminal = sys.stderr.isatty()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for bar in self._bars.values():
            bar.close()
        self._bars.clear()

    def show(self, save: VideoSave) -> None:
        """Show what a video has come to."""
        if save.was_there:
            return
        if self._on_terminal:
            self._show_bar(save)
        else:
            self._print_line(save)

    def _show_bar(self, save: VideoSave) -> None:
        stem = save.video.stem
        bar = self._bars.get(stem)
        if save.ended:
            if bar is not None:
                bar.close()
                del self._bars[stem]
            return
        if bar is None:
            self._bars[stem] = self._new_bar(save)
            return
        bar.total = save.total_bytes
        # Fewer than before where a file was begun anew.
        bar.update(save.done_bytes - bar.n)

    def _new_bar(self, save: VideoSave) -> "tqdm[Any]":
        # Here, because most commands do without, and it takes a while to import.
        from tqdm import tqdm  # noqa: PLC0415

        # Else a thread of its own looks after all bars.
        tqdm.monitor_interval = 0
        size = shutil.get_terminal_size()
        bar: tqdm[Any] = tqdm(
            desc=save.video.stem,
            total=save.total_bytes,
            # What was there before came at no rate.
            initial=save.done_bytes,
            unit="B",
            unit_scale=True,
            leave=False,
            # The usual size where a terminal does not say its own.
            ncols=size.columns - 1,
            nrows=size.lines,
            file=sys.stderr,
        )
        return bar

    def _print_line(self, save: VideoSave) -> None:
        stem, now = save.video.stem, time.monotonic()
        if save.ended:
            self._ended += 1
            how = "saved" if save.file is not None else "not saved"
            self._print(f"{self._ended} of {self._count}: {stem}: {how}")
        elif now >= self._line_at.setdefault(stem, now + _LINE_SECONDS):
            self._line_at[stem] = now + _LINE_SECONDS
            total = f" of {megabytes(save.total_bytes)}" if save.total_bytes else ""
            self._print(f"{stem}: {megabytes(save.done_bytes)}{total} MB")

    def _print(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)
