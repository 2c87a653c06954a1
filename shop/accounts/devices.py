"""A browser or program in a few words, so that people know their sessions apart."""

PROGRAMS = (
    ("MicroMessenger", "WeChat"), ("DingTalk", "DingTalk"), ("Edg", "Edge"), ("OPR", "Opera"), ("Firefox", "Firefox"),
    ("Chrome", "Chrome"), ("Safari", "Safari"), ("curl", "curl"), ("python", "Python"), ("okhttp", "okhttp"),
)  # fmt: skip
SYSTEMS = (
    ("HarmonyOS", "HarmonyOS"), ("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Windows", "Windows"),
    ("Macintosh", "macOS"), ("Linux", "Linux"),
)  # fmt: skip


def device_words(user_agent: str) -> str:
    """`Firefox, Windows` from a User-Agent header: the kind of program and system, nothing that names one machine."""
    found = [
        next((word for mark, word in marks if mark.lower() in user_agent.lower()), "") for marks in (PROGRAMS, SYSTEMS)
    ]
    return ", ".join(word for word in found if word)
