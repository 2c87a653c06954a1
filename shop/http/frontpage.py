"""What stands at `/`: the name of the house and where its parts are, as JSON or as a page."""

from html import escape

NAME, NAME_EN = "消费协作购销平台", "The open produce exchange"
PLACES = {
    "name": NAME,
    "name_en": NAME_EN,
    "docs": "/v1/docs",
    "api": "/v1/openapi.json",
    "catalogue": "/v1/public/listings",
    "log_in": "/v1/auth/token",
    "health": "/readyz",
}
WORDS = {  # what the page says of a place, in Chinese and in English
    "docs": ("接口说明", "How to use the API, to read"),
    "api": ("接口文档（OpenAPI）", "The API's document, for programs"),
    "catalogue": ("在售商品", "What is on sale"),
    "health": ("运行状态", "Whether all is well"),
}


def page() -> str:
    """The places as a page in both languages."""
    rows = "".join(
        f"<tr><td><a href='{PLACES[place]}'><code>{PLACES[place]}</code></a></td><td>{escape(chinese)}</td>"
        f"<td lang='en'>{escape(english)}</td></tr>"
        for place, (chinese, english) in WORDS.items()
    )
    return (
        "<!doctype html><html lang='zh'><meta charset='utf-8'><meta name='viewport' content='width=device-width'>"
        f"<title>{NAME} · {NAME_EN}</title><link rel='stylesheet' href='/static/api.css'>"
        f"<main><h1>{NAME}</h1><p lang='en'>{NAME_EN}</p><table>{rows}</table></main></html>"
    )
