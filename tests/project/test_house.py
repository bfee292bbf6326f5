"""The house is in order: names, docstrings, sizes, light imports, settings that hold."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path
from statistics import median

import pytest
from packaging.requirements import Requirement

import fcsweep

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "fcsweep").rglob("*.py"))
DRAWERS = {"utils", "util", "helpers", "helper", "common", "misc", "base", "tools"}


def named(path):
    return path.relative_to(ROOT).as_posix()


def functions_of(path):
    nodes = ast.walk(ast.parse(path.read_text()))
    return [node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def lines_of(function):
    return function.end_lineno - function.lineno + 1


def test_no_drawers():
    assert MODULES
    assert not [path for path in MODULES if DRAWERS & {path.stem, *path.parts}]


def test_every_module_says_what_it_is():
    programs = {"__main__.py"}
    modules = [path for path in MODULES if path.name not in programs]
    assert not [named(p) for p in modules if not ast.get_docstring(ast.parse(p.read_text()))]


def test_the_longest_module_has_350_lines():
    lengths = {named(path): path.read_text().count("\n") for path in MODULES}
    assert not {name: n for name, n in lengths.items() if n > 350}


def test_functions_are_short():
    lengths = {(named(p), f.name): lines_of(f) for p in MODULES for f in functions_of(p)}
    assert median(lengths.values()) <= 10
    assert not {name: length for name, length in lengths.items() if length > 60}


PACKAGES = [path.parent for path in MODULES if path.name == "__init__.py"]


def test_a_package_has_at_most_ten_modules():
    textbook = ROOT / "fcsweep"
    sizes = {named(p): len([*p.glob("[!_]*.py")]) for p in PACKAGES if p != textbook}
    assert not {name: size for name, size in sizes.items() if size > 10}


def test_the_docstring_of_a_package_lists_its_files():
    different = {}
    for package in PACKAGES:
        docstring = ast.get_docstring(ast.parse((package / "__init__.py").read_text())) or ""
        listed = set(re.findall(r"^``(\w+\.py)``  ", docstring, re.MULTILINE))
        there = {path.name for path in package.glob("*.py")} - {"__init__.py"}
        if package != ROOT / "fcsweep" and listed != there:
            different[named(package)] = listed ^ there
    assert not different


EXECUTE = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "runpy", "code", "imp"}
"""Modules that execute what they read."""
RUN = {"eval", "exec", "compile", "__import__", "full_load", "unsafe_load", "load_all"}
MAY = {
    ("fcsweep/data/images/cifar10_files.py", "pickle"),  # the restricted reader of CIFAR-10
    ("fcsweep/composition/jobs.py", "pickle"),  # copies of its own configs, in memory
    ("fcsweep/run/provenance.py", "subprocess"),  # asks git, without a shell
    ("fcsweep/launchers/starters/local.py", "subprocess"),  # starts its own command again
    ("fcsweep/launchers/starters/slurm.py", "subprocess"),  # asks Slurm, without a shell
    ("fcsweep/launchers/starters/ray.py", "subprocess"),  # starts that command on a node
}


def executing(path, text=None):
    """What a module has that could execute what it reads; ruff's rules S know most of it."""
    for node in ast.walk(ast.parse(text or path.read_text())):
        if isinstance(node, ast.Import):
            names = {alias.name.partition(".")[0] for alias in node.names}
            yield from names & (EXECUTE | {"subprocess"})
        elif isinstance(node, ast.ImportFrom):
            yield from {str(node.module).partition(".")[0]} & (EXECUTE | {"subprocess"})
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            options = {option.arg: ast.unparse(option.value) for option in node.keywords}
            if called in RUN or called in ("os.system", "os.popen"):
                yield called
            if called == "torch.load" and options.get("weights_only") != "True":
                yield called
            if called == "np.load" and options.get("allow_pickle") != "False":
                yield called
            loader = [*map(ast.unparse, node.args[1:]), *options.values()]
            if called in ("yaml.load", "yaml.parse") and loader != ["SafeLoader"]:
                yield called
            if options.get("shell", "False") != "False":
                yield "shell"


def test_nothing_can_execute_what_it_reads():
    modules = [*MODULES, *(ROOT / "hydra_plugins").glob("*.py")]
    found = {
        (path.relative_to(ROOT).as_posix(), one) for path in modules for one in executing(path)
    }
    assert found == MAY
    wrong = "import pickle\nfrom runpy import run_path\neval(x)\nnp.load(p)\ntorch.load(p)\n"
    wrong += "yaml.load(p, Loader)\nyaml.load(p, Loader=yaml.Loader)\nrun(p, shell=True)\n"
    assert len([*executing(None, wrong)]) == 8


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, fcsweep; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "fcsweep" in loaded
    assert not {"torch", "numpy", "hydra", "optuna", "pandas"} & set(loaded)


@pytest.mark.parametrize("module", ["fcsweep.config", "fcsweep.cli.main"])
def test_configs_and_the_command_line_load_without_torch(module):
    code = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert module in loaded
    assert not {"torch", "optuna", "pandas", "matplotlib", "sklearn"} & set(loaded)


def test_the_readme_has_the_two_commands():
    readme = (ROOT / "README.md").read_text().splitlines()
    commands = [line for line in readme if line.startswith("pip install -c constraints.txt")]
    assert commands == [
        "pip install -c constraints.txt -e . && python -m fcsweep -m optimizer=sgd,momentum",
        'pip install -c constraints.txt -e ".[test]" && pytest',
    ]


def test_the_readme_names_only_files_that_are_there():
    readme = (ROOT / "README.md").read_text()
    targets = [part.partition(")")[0] for part in readme.split("](")[1:]]
    missing = [t for t in targets if "://" not in t and not (ROOT / t).exists()]
    assert not missing


def test_each_promise_of_reliability_names_a_test_that_is_there():
    page = (ROOT / "docs/reliability.md").read_text()
    promises = [row for row in page.splitlines() if row.startswith("| ")]
    rows = [row for row in promises if not row.startswith(("| ---", "| promise"))]
    unheld = [row for row in rows if "::" not in row.rpartition(" | ")[2]]
    assert rows and not unheld
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", page)
    assert len(named) == page.count("::")
    texts = {path.name: path.read_text() for path in (ROOT / "tests").rglob("test_*.py")}
    missing = [
        f"{file}::{test}"
        for file, test in named
        if not re.search(rf"^\s*def {test}\(", texts.get(file, ""), re.MULTILINE)
    ]
    assert not missing


def test_constraints_pin_every_dependency():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pinned = {
        line.partition("==")[0].lower().replace("_", "-")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    }
    needs = [*project["dependencies"], *sum(project["optional-dependencies"].values(), [])]
    for need in needs:
        name = Requirement(need).name.lower()
        assert name in pinned | {"fcsweep"}, need


def test_the_newest_version_of_the_changelog_is_the_package_s():
    versions = re.findall(
        r"^## (\d\S+) - \d{4}-\d\d-\d\d$", (ROOT / "CHANGELOG.md").read_text(), re.M
    )
    assert versions[0] == fcsweep.__version__ == version("fcsweep")


def test_the_settings_of_the_tests_hold(request):
    assert request.config.getini("filterwarnings") == ["error"]
    assert request.config.getini("xfail_strict")
    assert request.config.option.strict_markers
