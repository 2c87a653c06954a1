"""The Celery application of beat, which knows when to ring for a sweep and nothing of the shop: `-A workers.beat`."""

from workers.broker import CALLS, SWEEPS, application
from workers.times import APART, EVERY

celery = application("beat")
celery.conf.beat_schedule = {
    name: {
        "task": "workers.sweep",
        "schedule": seconds,
        "args": (name,),
        "options": {"expires": max(seconds, 5), "queue": CALLS if name in APART else SWEEPS},
    }
    for name, seconds in EVERY.items()
}
