"""Refusals: the clear noes of the shop, each with a stable code, an HTTP status and a title in both languages.

A refusal lives beside the use case that raises it; the few that every room needs are here. The HTTP edge turns any of
them into an RFC 9457 problem; a task that meets one ends, as expected.
"""

from typing import Any, ClassVar


class Refusal(Exception):
    """A request that is understood and not granted.

    `pointer` names the field of the body (RFC 6901), `facts` are what the caller needs to do better (`available`,
    `allowed`); both stand in the problem document.
    """

    code: ClassVar[str] = "refused"
    status: ClassVar[int] = 409
    title: ClassVar[str] = "This cannot be done now."
    title_zh: ClassVar[str] = "现在不能这样做。"

    def __init__(self, detail: str = "", *, pointer: str | None = None, **facts: Any) -> None:
        super().__init__(detail or self.title)
        self.detail = detail
        self.pointer = pointer
        self.facts = facts

    @property
    def errors(self) -> list[dict[str, Any]]:
        """One entry per field at fault."""
        if self.pointer is None:
            return []
        return [{"pointer": self.pointer, "code": self.code, "detail": self.detail or self.title}]


class NotFound(Refusal):
    """Missing, or not yours: the two look the same on purpose."""

    code, status = "not_found", 404
    title, title_zh = "There is nothing here for you.", "没有找到，或您无权查看。"


class Invalid(Refusal):
    """Input that no state of the shop would accept; `errors` lists every field at fault."""

    code, status = "invalid", 422
    title, title_zh = "Some fields are not right.", "有些内容填写不正确。"

    def __init__(
        self, detail: str = "", *, pointer: str | None = None, errors: list[dict[str, Any]] | None = None
    ) -> None:
        super().__init__(detail, pointer=pointer)
        self._errors = errors

    @property
    def errors(self) -> list[dict[str, Any]]:
        return self._errors if self._errors is not None else super().errors


class Unauthenticated(Refusal):
    code, status = "unauthenticated", 401
    title, title_zh = "Log in first.", "请先登录。"


class Forbidden(Refusal):
    code, status = "forbidden", 403
    title, title_zh = "Your role may not do this.", "您的角色不能进行此操作。"


class TooMany(Refusal):
    code, status = "too_many_requests", 429
    title, title_zh = "Too many requests; wait a little.", "请求过于频繁，请稍候再试。"


class Busy(Refusal):
    code, status = "busy", 503
    title, title_zh = "The shop cannot answer just now; try again.", "系统暂时无法响应，请重试。"


class VersionConflict(Refusal):
    code, status = "version_conflict", 412
    title, title_zh = "Somebody changed this meanwhile; read it again.", "内容已被他人修改，请重新读取。"
