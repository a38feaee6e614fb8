"""Directories as they are found: checkpoints, the Hub library's cache, and files that are none."""

import errno
import os
import socket
import sys
from io import FileIO
from pathlib import Path
from typing import Any

import pytest

from hfmem.errors import BrokenCheckpoint, CannotTell, ExitCode, HfmemError, NotFound
from hfmem.sources import open_source
from hfmem.sources.directory import DirectorySource
from hfmem.sources.memory import MemorySource
from hfmem.sources.regular_file import why_unreadable


@pytest.fixture
def model(tmp_path: Path) -> Path:
    directory = tmp_path / "model"
    (directory / "onnx" / "deep" / "deeper" / "deepest").mkdir(parents=True)
    (directory / ".cache").mkdir()
    for name, content in {
        "config.json": b"{}",
        "model.safetensors": b"0123456789",
        "other.safetensors": b"x",
        "onnx/a.onnx": b"ab",
        "onnx/deep/deeper/b": b"b",
        "onnx/deep/deeper/deepest/c": b"c",
        ".cache/d": b"d",
        ".gitattributes": b"",
    }.items():
        (directory / name).write_bytes(content)
    return directory


def code_of(source: DirectorySource, name: str) -> str:
    with pytest.raises(BrokenCheckpoint) as whole:
        source.read(name, limit=100)
    with pytest.raises(BrokenCheckpoint) as part:
        source.read_range(name, 0, 8)
    assert whole.value.code == part.value.code
    assert whole.value.exit_code == ExitCode.BROKEN
    assert name.rpartition("/")[2] in whole.value.message
    return whole.value.code


def skip_if_readable(path: Path) -> None:
    if os.access(path, os.R_OK):
        pytest.skip("this user is refused nothing")


def test_files_are_listed_with_their_sizes_three_levels_down(model: Path) -> None:
    source = DirectorySource(model)
    assert source.files() == {
        "config.json": 2,
        "model.safetensors": 10,
        "other.safetensors": 1,
        "onnx/a.onnx": 2,
        "onnx/deep/deeper/b": 1,
        ".gitattributes": 0,
    }
    assert (source.origin.source, source.origin.reference, source.origin.commit) == ("directory", str(model), None)
    assert source.max_workers == 1
    assert source.sharded_headers("model.safetensors.index.json") is None


def test_reading_a_file_and_ranges_of_it(model: Path) -> None:
    source = DirectorySource(str(model))
    assert source.read("config.json", limit=2) == b"{}"
    assert source.read_range("model.safetensors", 2, 3) == b"234"
    assert source.read_range("model.safetensors", 8, 100) == b"89"
    assert source.read_range("model.safetensors", 100, 1) == b""


def test_a_file_beyond_the_limit_is_an_error(model: Path) -> None:
    with pytest.raises(BrokenCheckpoint, match="10 bytes, more than the 9") as caught:
        DirectorySource(model).read("model.safetensors", limit=9)
    assert caught.value.code == "too-big"


def test_a_file_of_a_terabyte_costs_what_is_asked_of_it(model: Path) -> None:
    with (model / "huge.safetensors").open("wb") as file:
        file.write(b"head")
        file.truncate(10**12)
    source = DirectorySource(model)
    assert source.files()["huge.safetensors"] == 10**12
    assert source.read_range("huge.safetensors", 0, 6) == b"head\0\0"


@pytest.mark.parametrize("name", ["absent", "onnx/absent", "config.json/x"])
def test_a_file_that_is_not_there_is_not_found(model: Path, name: str) -> None:
    with pytest.raises(NotFound) as caught:
        DirectorySource(model).read(name, limit=1)
    assert caught.value.code == "file-not-found"


@pytest.mark.parametrize(
    "name", ["../secret", "/etc/passwd", "a//b", "", ".", "a\\b", "a?b", "a#b", "c:x", "%2e%2e/x", "a\nb", "a" * 1025]
)
@pytest.mark.parametrize("kind", ["directory", "memory"])
def test_a_name_that_leaves_the_tree_is_refused(model: Path, name: str, kind: str) -> None:
    source = DirectorySource(model) if kind == "directory" else MemorySource({})
    with pytest.raises(BrokenCheckpoint) as caught:
        source.read(name, limit=10)
    assert caught.value.code == "unsafe-path"
    assert caught.value.message.isprintable()


def test_a_pipe_is_no_file_and_is_not_waited_for(model: Path) -> None:
    os.mkfifo(model / "pipe.json")
    assert DirectorySource(model).files()["pipe.json"] is None
    assert code_of(DirectorySource(model), "pipe.json") == "not-a-regular-file"


def test_a_socket_is_no_file(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(model)  # the names of sockets are short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.json")
        assert code_of(DirectorySource(model), "socket.json") == "not-a-regular-file"


def test_a_directory_is_no_file(model: Path) -> None:
    assert code_of(DirectorySource(model), "onnx") == "not-a-regular-file"


def test_a_device_behind_a_link_is_never_opened(model: Path) -> None:
    (model / "zero.json").symlink_to("/dev/zero")
    assert code_of(DirectorySource(model), "zero.json") == "link-leaves-directory"


def test_a_link_to_itself(model: Path) -> None:
    (model / "loop.json").symlink_to("loop.json")
    assert code_of(DirectorySource(model), "loop.json") == "symlink-loop"


def test_a_link_that_leads_nowhere(model: Path) -> None:
    (model / "gone.json").symlink_to("blobs/gone")
    assert code_of(DirectorySource(model), "gone.json") == "dangling-link"


def test_a_link_out_of_the_directory(model: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.json").write_text("{}")
    (model / "out.json").symlink_to("../secret.json")
    assert code_of(DirectorySource(model), "out.json") == "link-leaves-directory"


def test_a_directory_linked_from_outside_is_not_entered(model: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "x").write_text("x")
    (model / "linked").symlink_to("../outside")
    assert "linked/x" not in DirectorySource(model).files()


def test_a_link_inside_the_directory_is_followed(model: Path) -> None:
    (model / "same.json").symlink_to("config.json")
    assert DirectorySource(model).read("same.json", limit=10) == b"{}"


def test_the_directory_itself_may_be_a_link(model: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(model)
    assert DirectorySource(tmp_path / "link").read("config.json", limit=10) == b"{}"


def test_a_file_without_permission(model: Path) -> None:
    (model / "config.json").chmod(0)
    skip_if_readable(model / "config.json")
    assert code_of(DirectorySource(model), "config.json") == "permission-denied"


def test_a_directory_without_permission(model: Path) -> None:
    model.chmod(0)
    skip_if_readable(model)
    with pytest.raises(BrokenCheckpoint) as caught:
        DirectorySource(model)
    model.chmod(0o700)
    assert caught.value.code == "permission-denied"


def test_a_refused_permission_is_named(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise PermissionError(13, "Permission denied")

    source = DirectorySource(model)
    monkeypatch.setattr(os, "open", refuse)
    assert code_of(source, "config.json") == "permission-denied"


@pytest.mark.parametrize("place", ["", "onnx"])
def test_a_directory_that_cannot_be_listed(model: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    scan = os.scandir

    def refuse(path: str | Path) -> Any:
        if Path(path) == model / place:
            raise PermissionError(errno.EACCES, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    if place:
        assert "onnx/a.onnx" not in DirectorySource(model).files()
    else:
        with pytest.raises(BrokenCheckpoint, match="no permission to read"):
            DirectorySource(model)


@pytest.mark.parametrize(
    ("number", "kind", "code"),
    [
        (errno.ENXIO, BrokenCheckpoint, "not-a-regular-file"),
        (errno.EPERM, BrokenCheckpoint, "permission-denied"),
        (errno.ENAMETOOLONG, NotFound, "file-not-found"),
        (errno.EIO, BrokenCheckpoint, "unreadable"),
    ],
)
def test_what_the_system_refuses(number: int, kind: type[HfmemError], code: str) -> None:
    error = why_unreadable(OSError(number, os.strerror(number)), Path("x"))
    assert (type(error), error.code) == (kind, code)


def test_a_disk_that_fails_while_it_is_read(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing(FileIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError(errno.EIO, "Input/output error")

    source = DirectorySource(model)
    monkeypatch.setattr(os, "fdopen", lambda descriptor, *rest, **settings: Failing(descriptor))
    assert code_of(source, "config.json") == "unreadable"


def test_a_file_that_becomes_a_pipe_between_two_looks(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = DirectorySource(model)
    (model / "config.json").unlink()
    os.mkfifo(model / "config.json")
    monkeypatch.setattr("hfmem.sources.regular_file.require_regular", lambda path: None)
    with pytest.raises(BrokenCheckpoint, match="is no regular file"):
        source.read_range("config.json", 0, 2)


def test_a_file_that_changes_is_noticed(model: Path) -> None:
    source = DirectorySource(model)
    (model / "config.json").write_text('{"more": 1}')
    assert code_of(source, "config.json") == "changed"


def test_a_directory_with_too_many_files_is_refused(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hfmem.sources.listing.MAX_ENTRIES", 3)
    with pytest.raises(BrokenCheckpoint, match="holds more than 3 files") as caught:
        DirectorySource(model)
    assert caught.value.code == "too-many-files"


def test_a_path_that_vanished_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        DirectorySource(tmp_path / "absent")


def test_a_single_file_is_shown_alone_with_its_config_in_reach(model: Path) -> None:
    source = DirectorySource(model / "model.safetensors")
    assert source.files() == {"model.safetensors": 10}
    assert source.read_range("model.safetensors", 0, 1) == b"0"
    assert source.read("config.json", limit=10) == b"{}"
    assert (source.origin.source, source.origin.reference) == ("file", str(model / "model.safetensors"))
    with pytest.raises(NotFound):
        source.read("other.safetensors", limit=10)


def test_an_index_speaks_for_its_directory(model: Path) -> None:
    (model / "model.safetensors.index.json").write_text("{}")
    source = DirectorySource(model / "model.safetensors.index.json")
    assert "other.safetensors" in source.files()
    assert source.origin.source == "file"


def test_a_linked_single_file_may_be_anywhere(model: Path, tmp_path: Path) -> None:
    (tmp_path / "link.gguf").symlink_to(model / "other.safetensors")
    assert DirectorySource(tmp_path / "link.gguf").read("link.gguf", limit=10) == b"x"


@pytest.mark.parametrize("name", ["config.json", "onnx/a.onnx"])
def test_another_kind_of_file_is_not_a_model(model: Path, name: str) -> None:
    with pytest.raises(CannotTell, match=r"is no \.safetensors file") as caught:
        DirectorySource(model / name)
    assert caught.value.code == "unsupported-file"


def test_a_pipe_as_the_model(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "model.safetensors")
    with pytest.raises(BrokenCheckpoint) as caught:
        DirectorySource(tmp_path / "model.safetensors")
    assert caught.value.code == "not-a-regular-file"


def test_opening_a_path_never_loads_the_hub_client(model: Path) -> None:
    import subprocess

    program = (
        "import sys; from hfmem.sources import open_source; open_source(sys.argv[1]);"
        "sys.exit(any(name.split('.')[0] in ('huggingface_hub', 'httpx2') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program, str(model)], check=False).returncode == 0
    assert open_source(str(model)).origin.source == "directory"
