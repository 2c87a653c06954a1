"""A small client of the shop's own API, as any program of an institution would write one."""

import json
import threading
import time
from typing import Any

import urllib3

KEPT = 8  # connections of one client


class Refused(Exception):
    """The shop said no; `status` and the problem document say why."""

    def __init__(self, method: str, path: str, status: int, problem: dict[str, Any]) -> None:
        super().__init__(f"{method} {path}: {status} {json.dumps(problem, ensure_ascii=False)[:500]}")
        self.status = status
        self.problem = problem


class Client:
    """Calls of one party: JSON in and out, its token on every call, a key on every call that changes something."""

    tokens = threading.Lock()

    def __init__(self, url: str, token: str | None = None) -> None:
        """A client with connections of its own: the shop's processes share connections, not calls."""
        self.url = url
        self._pool = urllib3.connectionpool.connection_from_url(
            url, maxsize=KEPT, block=False, timeout=urllib3.Timeout(30)
        )
        self._token = token

    def call(self, method: str, path: str, body: Any = None, key: str | None = None) -> Any:
        """The answer's JSON; Refused for any no. A shop that is busy (503, 429) is asked again, when it says so."""
        headers = {"Accept-Language": "en"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        if key:
            headers["Idempotency-Key"] = key
        data = None
        if body is not None:
            data = json.dumps(body, ensure_ascii=False).encode()
            headers["Content-Type"] = "application/json"
        for attempt in range(5):
            answer = self._pool.request(
                method, path, body=data, headers=headers, retries=urllib3.Retry(2, backoff_factor=0.3)
            )
            if answer.status not in (429, 503) or attempt == 4:
                break
            if answer.status == 429:  # two passwords are hashed at once, the others wait
                time.sleep(min(int(answer.headers.get("Retry-After", "1")), 5))
        found = json.loads(answer.data) if answer.data else None
        if answer.status >= 400:
            raise Refused(method, path, answer.status, found or {})
        return found

    def get(self, path: str) -> Any:
        return self.call("GET", path)

    def post(self, path: str, body: Any = None, key: str | None = None) -> Any:
        return self.call("POST", path, {} if body is None else body, key)

    def log_in(self, email: str, password: str) -> "Client":
        """The same shop as the party with this log-in."""
        found = self.post("/v1/auth/token", {"email": email, "password": password})
        return Client(self.url, found["token"])
