"""The tasks beside language and labels, by theme."""

from __future__ import annotations

from benchmarks.real_models import (
    caption_tasks,
    pair_tasks,
    series_tasks,
    speech_tasks,
    text_tasks,
    vision_tasks,
)


TASKS = {
    **text_tasks.TASKS,
    **pair_tasks.TASKS,
    **vision_tasks.TASKS,
    **caption_tasks.TASKS,
    **series_tasks.TASKS,
    **speech_tasks.TASKS,
}
