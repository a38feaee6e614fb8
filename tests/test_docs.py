"""README and docs say what the code does: blocks run, output is compared, options and codes are complete."""

import re
import sys
from pathlib import Path

import checkpoints
import pytest

import hfmem
from hfmem.cli import app
from hfmem.errors import ExitCode

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
README = (ROOT / "README.md").read_text()
METHOD = (ROOT / "docs" / "method.md").read_text()
PYTHON = (ROOT / "docs" / "python.md").read_text()


@pytest.mark.parametrize("name", ["README.md", "docs/method.md"])
def test_console_blocks_are_what_the_commands_print(name: str) -> None:
    from render_docs import render

    text = (ROOT / name).read_text()
    assert render(text) == text, "run scripts/render_docs.py"


def test_pictures_are_what_the_commands_draw() -> None:
    from render_pictures import stale

    assert not stale(), "run scripts/render_pictures.py"


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", README + PYTHON, re.DOTALL))
def test_python_blocks_run(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in set(re.findall(r'"fixtures:([^"]+)"', code)):
        code = code.replace(f"fixtures:{name}", str(checkpoints.write(name, tmp_path / name)))
    exec(compile(code, "README.md", "exec"), {})


def test_every_exit_code_is_documented() -> None:
    section = README[README.index("### Exit codes") : README.index("## How it compares")]
    assert all(re.search(rf"\b{int(code)} ", section) for code in ExitCode)


# said by the option's opposite or by its group
LEFT_OUT = {"--no-padded", "--sequence-parallel", "--no-sequence-parallel", "--double-quantization", "--num-labels"}


@pytest.mark.parametrize("name", ["estimate", "train", "verify", "fit", "plot", "devices", "check", "batch"])
def test_every_option_is_in_the_readme(name: str) -> None:
    from typer.main import get_command

    command = get_command(app).commands[name]  # type: ignore[attr-defined]
    options = {name for parameter in command.params for name in parameter.opts if name.startswith("--")}
    missing = {name for name in options - {"--quiet", "--engine", *LEFT_OUT} if name not in README}
    assert not missing


def test_every_public_name_is_in_the_python_guide() -> None:
    assert all(re.search(rf"\b{name}\b", PYTHON + README) for name in hfmem.__all__)


def test_public_names_exist_and_have_docstrings() -> None:
    for name in hfmem.__all__:
        assert name == "__version__" or getattr(hfmem, name).__doc__


def test_an_unknown_public_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'gues'"):
        hfmem.gues  # noqa: B018


def test_every_basis_of_an_item_is_explained() -> None:
    assert all(word in METHOD for word in ("modelled", "assumed", "derived", "measured"))
