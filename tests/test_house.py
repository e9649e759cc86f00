"""The rules of the house, checked: sizes, names, docstrings, the ladder, locks, vendored files, commands in the docs."""

from __future__ import annotations

import ast
import functools
import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = (
    "base",
    "drivers",
    "providers",
    "accounts",
    "mail",
    "contacts",
    "linking",
    "notifications",
    "intake",
    "sync",
    "outbox",
    "panel",
    "crm_mail",
)
LONG_FILE, LONG_FUNCTION, LONG_VIEW, MANY_PARAMETERS = 400, 40, 25, 6
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "manager", "managers", "common", "core", "misc"}
FORBIDDEN_PACKAGES = {"messages", "email", "mailbox", "csp"}


@functools.cache
def tracked() -> tuple[Path, ...]:
    """Every file of the project: what git knows and what it does not ignore."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("no git here to say what belongs to the project")
    names = listed.stdout.decode().split("\0")
    return tuple(path for name in sorted(set(names)) if name and (path := ROOT / name).is_file())


@functools.cache
def sources() -> dict[Path, ast.Module]:
    """Parsed Python files of the rooms, the scripts, the demo and the bench; not of tests and migrations."""
    wanted = {*ROOMS, "script", "demo", "bench"}
    paths = [
        path
        for path in tracked()
        if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in wanted and "migrations" not in path.parts
    ]
    return {path: ast.parse(path.read_text(encoding="utf-8"), str(path)) for path in paths}


def rooms() -> dict[Path, ast.Module]:
    """The rooms alone."""
    return {path: tree for path, tree in sources().items() if path.relative_to(ROOT).parts[0] in ROOMS}


def where(path: Path, line: int = 0) -> str:
    return f"{path.relative_to(ROOT)}:{line}" if line else str(path.relative_to(ROOT))


def functions(tree: ast.Module) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of code without the docstring."""
    lines = (node.end_lineno or node.lineno) - node.lineno + 1
    first = node.body[0]
    if ast.get_docstring(node) is not None:
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def test_no_file_is_longer_than_400_lines() -> None:
    exempt = ROOT / "tests" / "servers"
    long = []
    for path in tracked():
        if path.suffix not in (".py", ".js", ".css", ".html", "") or "vendor" in path.parts or exempt in path.parents:
            continue
        if path.suffix == "" and path.parent.name != "script" or "migrations" in path.parts:
            continue
        count = len(path.read_text(encoding="utf-8").splitlines())
        if count > LONG_FILE:
            long.append(f"{where(path)}: {count}")
    assert long == []


def test_no_function_is_longer_than_40_lines_and_no_view_than_25() -> None:
    long = []
    for path, tree in sources().items():
        limit = LONG_VIEW if path.parent == ROOT / "panel" / "views" else LONG_FUNCTION
        long += [f"{where(path, f.lineno)} {f.name}: {length(f)}" for f in functions(tree) if length(f) > limit]
    assert long == []


def test_functions_take_fewer_than_six_parameters() -> None:
    many = []
    for path, tree in rooms().items():
        for function in functions(tree):
            arguments = function.args
            names = [a.arg for a in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]]
            names = [name for name in names if name not in ("self", "cls")]
            if len(names) >= MANY_PARAMETERS and not function.name.startswith("__"):
                many.append(f"{where(path, function.lineno)} {function.name}: {len(names)}")
    assert many == []


def test_no_module_has_a_name_that_says_nothing() -> None:
    paths = [path.relative_to(ROOT) for path in tracked() if path.suffix == ".py"]
    vague = [str(path) for path in paths if {path.stem, *path.parts[:-1]} & FORBIDDEN_NAMES]
    taken = [str(path) for path in paths if path.parts[0] in FORBIDDEN_PACKAGES]
    assert vague + taken == []


def test_every_module_says_what_it_is_for() -> None:
    silent = [where(path) for path, tree in sources().items() if tree.body and not ast.get_docstring(tree)]
    assert silent == []


def test_public_functions_and_classes_of_the_rooms_are_documented() -> None:
    own_words = {"Meta", "Command", "handle", "add_arguments", "get_queryset", "collect", "describe"}
    silent = []
    for path, tree in rooms().items():
        for node in tree.body:
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                continue
            if node.name.startswith("_") or node.name in own_words or ast.get_docstring(node) is not None:
                continue
            if isinstance(node, ast.ClassDef) and node.name.endswith("Config"):
                continue
            silent.append(f"{where(path, node.lineno)} {node.name}")
    assert silent == []


def test_nothing_is_imported_inside_a_function() -> None:
    hidden = []
    for path, tree in sources().items():
        for function in functions(tree):
            inner = [node for node in ast.walk(function) if isinstance(node, ast.Import | ast.ImportFrom)]
            hidden += [where(path, node.lineno) for node in inner]
    assert sorted(set(hidden)) == []


def test_tasks_are_short_and_services_never_import_them() -> None:
    wrong = []
    for path, tree in rooms().items():
        imported = {
            name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            for name in [node.module or "", *[f"{node.module}.{alias.name}" for alias in node.names]]
        }
        if path.stem == "services" or path.parent.name == "services":
            wrong += [f"{where(path)} imports {name}" for name in imported if name.endswith(".tasks")]
        for function in functions(tree):
            if "shared_task" in ast.dump(ast.Module(function.decorator_list, [])) and length(function) > 12:  # type: ignore[arg-type]
                wrong.append(f"{where(path, function.lineno)} {function.name} is too long for a task")
    assert wrong == []


def test_the_ladder_holds() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", ["run", "dev", "uv"])
def test_a_lock_file_has_hashes_and_names_no_address(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    assert "://" not in text
    assert "--index-url" not in text and "--find-links" not in text
    entries = re.split(r"\n(?=[a-z0-9])", text.replace("\\\n", " "), flags=re.I)
    entries = [entry for entry in entries if not entry.startswith("#")]
    assert entries
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []


@pytest.mark.parametrize(("name", "groups"), [("run", []), ("dev", ["--group", "test", "--group", "dev"])])
def test_locking_again_changes_nothing(name: str, groups: list[str], tmp_path: Path) -> None:
    uv = Path(sys.prefix) / "uv" / "bin" / "uv"
    if not uv.is_file():
        pytest.skip("no uv beside this environment")
    fresh = tmp_path / "fresh.txt"
    locked = (ROOT / "requirements" / f"{name}.txt").read_text()
    fresh.write_text(locked)  # what is locked is kept as long as it fits
    command = [uv, "pip", "compile", "--no-config", "--universal", "--generate-hashes", "--quiet"]
    command += ["--python-version", "3.11", "pyproject.toml", *groups, "-o", str(fresh)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=240)
    if done.returncode and re.search(r"(?i)connect|dns|network|timed? ?out|fetch", done.stderr):
        pytest.skip("the package index cannot be reached")
    assert done.returncode == 0, done.stderr
    without_comments = [line for line in fresh.read_text().splitlines() if not line.startswith("#")]
    assert without_comments == [line for line in locked.splitlines() if not line.startswith("#")]


def test_vendored_files_are_those_that_were_reviewed() -> None:
    folder = ROOT / "static" / "vendor"
    listed = {}
    for line in (folder / "HASHES").read_text().splitlines():
        digest, _, name = line.partition("  ")
        listed[name] = digest
    there = {
        str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file() and path.name != "HASHES"
    }
    assert set(there) == set(listed)
    assert [name for name, path in there.items() if hashlib.sha256(path.read_bytes()).hexdigest() != listed[name]] == []
    assert [name for name, path in there.items() if b"sourceMappingURL" in path.read_bytes()] == []


def test_every_command_that_the_documents_name_exists() -> None:
    missing = []
    commands = {path.stem for path in tracked() if path.parent.name == "commands"}
    commands |= {"help", "migrate", "check", "shell", "dbshell", "makemigrations", "collectstatic", "createsuperuser"}
    for document in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        text = document.read_text(encoding="utf-8")
        for script in set(re.findall(r"(?<![\w/])(script/[a-z_.]*[a-z]|\.ci/run)\b", text)):
            if not os.access(ROOT / script, os.R_OK if script.endswith(".py") else os.X_OK):
                missing.append(f"{where(document)}: {script}")
        for command in set(re.findall(r"script/manage ([a-z_]+)", text)):
            if command not in commands:
                missing.append(f"{where(document)}: script/manage {command}")
        for link in re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", text):
            if not (document.parent / link).exists():
                missing.append(f"{where(document)}: {link}")
    assert missing == []


def test_every_setting_is_explained_in_the_example_environment() -> None:
    used = set(re.findall(r"env\.(?:read\w*|is_given)\(\"([A-Z_]+)\"", (ROOT / "crm_mail" / "settings.py").read_text()))
    explained = set(re.findall(r"^#?\s?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.M))
    assert used - explained == set()
    assert explained - used - {"POSTGRES_PASSWORD"} == set()


def test_no_file_of_the_project_names_a_folder_of_somebodys_machine() -> None:
    pattern = re.compile(rb"(?<![\w./])/(?:home|root|work|Users)/[a-z]")
    named = []
    for path in tracked():
        if "vendor" in path.parts or path.suffix in (".woff2", ".png", ".jpg", ".eml") or path == Path(__file__):
            continue
        if pattern.search(path.read_bytes()):
            named.append(where(path))
    assert named == []
