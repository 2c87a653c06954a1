import pytest

from config import checks
from config.suite import pytest_arguments

RUN = "flask==3.1.3 \\\n    --hash=sha256:" + "a" * 64 + "\n"
TOOLS = RUN + "pytest==9.2.0 \\\n    --hash=sha256:" + "b" * 64 + "\n"
PROJECT = '[project]\nname = "x"\ndependencies = ["Flask>=3"]\n[project.optional-dependencies]\ntest = ["pytest"]\n'


@pytest.fixture
def locks(tmp_path, monkeypatch):
    def write(run: str = RUN, tools: str = TOOLS, project: str = PROJECT) -> str:
        files = {"requirements.lock": run, "requirements-test.lock": tools, "pyproject.toml": project}
        for name, text in files.items():
            (tmp_path / name).write_text(text)
        return checks.lock_problems()

    monkeypatch.setattr(checks, "ROOT", tmp_path)
    monkeypatch.setattr(checks, "LOCKS", (tmp_path / "requirements.lock", tmp_path / "requirements-test.lock"))
    return write


def test_good_locks_have_no_problems(locks):
    assert locks() == ""


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"tools": TOOLS + "idna==3.2\n"}, "idna==3.2 has no hash"),
        ({"tools": TOOLS + "idna\n"}, "idna has no hash"),
        ({"run": "--index-url https://mirror.example/simple\n" + RUN}, "an address: https://mirror.example/simple"),
        ({"run": RUN.replace("3.1.3", "3.1.2")}, "lacks flask==3.1.2"),
        ({"run": RUN.replace("a" * 64, "c" * 64)}, "lacks flask==3.1.3"),
        ({"project": PROJECT.replace("Flask>=3", "Flask>=3', 'click[x]>=1").replace("'", '"')}, "no lock holds click"),
    ],
)
def test_a_bad_lock_is_named(locks, changed, complaint):
    assert complaint in locks(**changed)


def test_the_licence_list_is_compared_with_what_is_installed(tmp_path, monkeypatch, locks):
    locks(tools=RUN + "notinstalled==1 \\\n    --hash=sha256:" + "b" * 64 + "\n")
    monkeypatch.setattr(checks, "LICENCES", tmp_path / "licences.txt")
    assert "flask: BSD-3-Clause is not listed so" in checks.licence_problems()
    listed = "# comment\nflask: BSD-3-Clause\nnotinstalled: MIT\n"  # for another platform: as it was last seen
    (tmp_path / "licences.txt").write_text(listed)
    assert checks.licence_problems() == ""
    (tmp_path / "licences.txt").write_text(listed + "gone: MIT\n")
    assert "gone is listed but in no lock" in checks.licence_problems()


def test_a_failing_program_complains_with_its_output(monkeypatch):
    assert checks.program(("-c", "print('bad'); raise SystemExit(1)"), {})() == "bad\n"
    assert checks.program(("-c", "print('good')"), {})() == ""
    assert "code 2" in checks.program(("-c", "raise SystemExit(2)"), {})()


def test_the_plain_suite_has_a_fixed_seed_and_no_full_counts(monkeypatch):
    monkeypatch.delenv("SHOP_SEED", raising=False)
    assert pytest_arguments(["-x"]) == ["-n", "2", "--dist", "worksteal", "--hypothesis-seed=1", "-m", "not deep", "-x"]


def test_deep_takes_a_name_and_hands_on_the_rest(monkeypatch):
    monkeypatch.setenv("SHOP_SEED", "77")
    fixed = ["-n", "2", "--dist", "worksteal", "--hypothesis-seed=77", "-m", "deep"]
    assert pytest_arguments(["--deep"]) == fixed
    assert pytest_arguments(["--deep", "races", "-x"]) == [*fixed, "-k", "races", "-x"]
    assert pytest_arguments(["-x", "--deep"]) == [*fixed, "-x"]


def test_the_deep_suite_draws_its_seed(monkeypatch):
    monkeypatch.delenv("SHOP_SEED", raising=False)
    assert len({pytest_arguments(["--deep"])[4] for _ in range(5)}) > 1
