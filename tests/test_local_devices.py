"""This machine's GPUs, from recorded answers of its drivers; nothing of the machine the tests run on is asked."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfmem.errors import CannotTell, UsageError
from hfmem.hardware import local_targets, parse, parse_target, parse_targets
from hfmem.hardware.nvidia import QUERY, import_library
from hfmem.hardware.probes import Roots, run_command, whole_number
from hfmem.hardware.values import Target
from hfmem.units import GIB, MIB

TWO_H100 = """NVIDIA H100 80GB HBM3, 81559, 81008, 9.0
NVIDIA H100 80GB HBM3, 81559, 40123, 9.0
"""
DESK = """NVIDIA GeForce RTX 4090, 24564, 23011, 8.9
NVIDIA GeForce RTX 3060, 12288, 11900, 8.6
NVIDIA GeForce RTX 4090, 24564, 24000, 8.9
"""
SPARK = "NVIDIA GB10, [N/A], [N/A], 12.1\n"
MEMINFO = (
    "MemTotal:       125512580 kB\nMemFree:         1000000 kB\nMemAvailable:   118000000 kB\nHugePages_Total:       0\nbroken\n"
)


def answers(found: dict[str, str]) -> Callable[[tuple[str, ...]], str | None]:
    """Recorded outputs by the command's last word; None for any other."""
    return lambda command: found.get(command[-1])


def smi(output: str) -> Callable[[tuple[str, ...]], str | None]:
    return answers({QUERY[-1]: output})


def tree(root: Path, files: dict[str, str]) -> Roots:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return Roots(sys=root / "sys", proc=root / "proc")


def ask(run: Callable[[tuple[str, ...]], str | None], root: Path, *, library: Any = None) -> tuple[Target, ...]:
    return local_targets(run=run, library=lambda: library, roots=tree(root, {}))


class NvmlError(Exception):
    """What NVML raises."""


def nvml(cards: list[tuple[str | bytes, int | None, int, tuple[int, int]]], *, works: bool = True) -> Any:
    """A module pynvml over a machine of such cards."""

    def start() -> None:
        if not works:
            raise NvmlError

    def memory(handle: int) -> SimpleNamespace:
        if cards[handle][1] is None:
            raise NvmlError
        return SimpleNamespace(total=cards[handle][1], free=cards[handle][2])

    return SimpleNamespace(
        NVMLError=NvmlError,
        nvmlInit=start,
        nvmlShutdown=lambda: None,
        nvmlDeviceGetCount=lambda: len(cards),
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetName=lambda handle: cards[handle][0],
        nvmlDeviceGetMemoryInfo=memory,
        nvmlDeviceGetCudaComputeCapability=lambda handle: cards[handle][3],
    )


def test_equal_cards_are_one_target_with_what_the_fullest_has_free(tmp_path: Path) -> None:
    (target,) = ask(smi(TWO_H100), tmp_path)
    assert (target.count, target.text, target.device.name) == (2, "local", "NVIDIA H100 80GB HBM3")
    assert target.device.memory_bytes == 81559 * MIB
    assert target.device.usable_bytes == int(79.19 * GIB)
    assert target.device.free_bytes == 40123 * MIB
    assert (target.device.family, target.device.compute_capability, target.device.source) == ("data-centre", "9.0", "nvidia-smi")
    assert target.device.memory_source == "driver"


def test_different_cards_are_targets_of_their_own(tmp_path: Path) -> None:
    targets = ask(smi(DESK), tmp_path)
    assert [(each.device.name, each.count) for each in targets] == [
        ("NVIDIA GeForce RTX 4090", 2),
        ("NVIDIA GeForce RTX 3060", 1),
    ]
    assert targets[1].device.marketing_gb == 12


def test_one_name_with_two_totals_is_two_targets(tmp_path: Path) -> None:
    output = "NVIDIA A100-SXM4-80GB, 81920, 1, 8.0\nNVIDIA A100-SXM4-80GB, 81251, 1, 8.0\n"
    first, second = ask(smi(output), tmp_path)
    assert (first.count, second.count) == (1, 1)
    assert second.device.usable_bytes == 81251 * MIB - 768 * MIB


def test_a_laptops_card_does_not_become_the_desktops(tmp_path: Path) -> None:
    (target,) = ask(smi("NVIDIA GeForce RTX 5090 Laptop GPU, 24463, 24000, 12.0\n"), tmp_path)
    assert target.device.family == "geforce-laptop"


def test_an_unknown_card_has_what_its_driver_says(tmp_path: Path) -> None:
    (target,) = ask(smi("NVIDIA Whatever, 10000, 9000, [N/A]\n"), tmp_path)
    assert (target.device.family, target.device.marketing_gb, target.device.compute_capability) == ("unknown", None, None)
    assert target.device.usable_bytes == 10000 * MIB - 250 * MIB
    assert not target.device.runs("bfloat16")


def test_a_board_with_unified_memory_has_the_systems(tmp_path: Path) -> None:
    roots = tree(tmp_path, {"proc/meminfo": MEMINFO})
    (target,) = local_targets(run=smi(SPARK), library=lambda: None, roots=roots)
    assert target.device.unified and target.device.name == "NVIDIA GB10"
    assert target.device.memory_bytes == target.device.usable_bytes == 125512580 * 1024
    assert target.device.free_bytes == 118000000 * 1024
    assert target.device.source == "nvidia-smi and /proc/meminfo"


def test_a_board_without_meminfo_is_not_guessed(tmp_path: Path) -> None:
    with pytest.raises(CannotTell):
        ask(smi(SPARK), tmp_path)


@pytest.mark.parametrize(
    "output",
    [
        "",
        "\n\n",
        "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n",
        "NVIDIA H100 80GB HBM3, [Insufficient Permissions], [Insufficient Permissions], 9.0\n",
        "NVIDIA H100 80GB HBM3, [N/A], [N/A], 9.0\n",
        "NVIDIA H100 80GB HBM3, 0, 0, 9.0\n",
        "NVIDIA H100 80GB HBM3, -5, 0, 9.0\n",
        f"NVIDIA H100 80GB HBM3, {'9' * 5000}, 0, 9.0\n",
        ", 81559, 81559, 9.0\n",
        "NVIDIA H100 80GB HBM3, 81559\n",
        "\x00\xff,,,\n",
    ],
)
def test_an_answer_that_says_nothing_is_no_device(output: str, tmp_path: Path) -> None:
    with pytest.raises(CannotTell, match="no GPU found; asked NVML, nvidia-smi") as caught:
        ask(smi(output), tmp_path)
    assert caught.value.code == "no-local-device"


def test_what_is_free_may_be_unknown_or_absurd(tmp_path: Path) -> None:
    output = "NVIDIA L4, 23034, [N/A], 8.9\nNVIDIA A10G, 23028, 99999, 8.6\nNVIDIA A10G, 23028, 20000, 8.6\n"
    first, second = ask(smi(output), tmp_path)
    assert (first.device.free_bytes, second.device.free_bytes) == (None, 20000 * MIB)


def test_a_name_with_a_comma_keeps_it(tmp_path: Path) -> None:
    (target,) = ask(smi("Odd, Name, 1000, 900, 8.0\n"), tmp_path)
    assert target.device.name == "Odd, Name"


@given(st.text(max_size=200))
def test_any_output_is_devices_or_none(output: str) -> None:
    try:
        targets = local_targets(run=smi(output), library=lambda: None, roots=Roots(sys=Path("/nowhere"), proc=Path("/nowhere")))
    except CannotTell:
        return
    assert all(each.device.memory_bytes > 0 for each in targets)


def test_nvml_is_believed_first(tmp_path: Path) -> None:
    library = nvml([(b"NVIDIA L4", 23034 * MIB, 20000 * MIB, (8, 9)), ("NVIDIA L4", 23034 * MIB, 22000 * MIB, (8, 9))])
    (target,) = ask(smi(DESK), tmp_path, library=library)
    assert (target.count, target.device.name, target.device.source) == (2, "NVIDIA L4", "NVML")
    assert (target.device.free_bytes, target.device.compute_capability) == (20000 * MIB, "8.9")


def test_nvml_of_a_unified_board_leaves_the_size_to_the_kernel(tmp_path: Path) -> None:
    roots = tree(tmp_path, {"proc/meminfo": MEMINFO})
    (target,) = local_targets(run=answers({}), library=lambda: nvml([("NVIDIA Thor", None, 0, (11, 0))]), roots=roots)
    assert target.device.memory_bytes == 125512580 * 1024
    assert target.device.source == "NVML and /proc/meminfo"


@pytest.mark.parametrize("library", [nvml([], works=False), nvml([])], ids=["no driver", "no card"])
def test_nvidia_smi_is_asked_where_nvml_says_nothing(library: Any, tmp_path: Path) -> None:
    (target,) = ask(smi(TWO_H100), tmp_path, library=library)
    assert target.device.source == "nvidia-smi"


def test_nvml_is_optional(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pynvml", None)
    assert import_library() is None
    module = SimpleNamespace()
    monkeypatch.setitem(__import__("sys").modules, "pynvml", module)
    assert import_library() is module


def card(name: str, *, vram: int, used: int, **files: str) -> dict[str, str]:
    folder = f"sys/class/drm/{name}/device"
    return {
        f"{folder}/mem_info_vram_total": f"{vram}\n",
        f"{folder}/mem_info_vram_used": f"{used}\n",
        **{f"{folder}/{file}": text for file, text in files.items()},
    }


def node(number: int, text: str) -> dict[str, str]:
    return {f"sys/class/kfd/kfd/topology/nodes/{number}/properties": text}


def test_amds_cards_are_read_from_the_kernel(tmp_path: Path) -> None:
    files = {
        **card("card0", vram=206141652992, used=297611264, product_name="AMD Instinct MI300X\n"),
        **card("card1", vram=206141652992, used=10**9, product_name="AMD Instinct MI300X\n"),
        "sys/class/drm/card0-DP-1/device/mem_info_vram_total": "5",
        "sys/class/drm/card0/device/drm/renderD128/dev": "226:128",
        "sys/class/drm/card0/device/drm/renderDxx/dev": "",
        **node(0, "cpu_cores_count 96\nsimd_count 0\ndrm_render_minor 0\n"),
        **node(1, "cpu_cores_count 0\nsimd_count 1216\ngfx_target_version 90402\ndrm_render_minor 128\n"),
    }
    (target,) = local_targets(run=answers({}), library=lambda: None, roots=tree(tmp_path, files))
    device = target.device
    assert (target.count, device.memory_bytes, device.usable_bytes) == (2, 206141652992, int(191.45 * GIB))
    assert device.free_bytes == 206141652992 - 10**9
    assert (device.compute_capability, device.family, device.source) == ("gfx942", "instinct", "/sys/class/drm")


def apu(vram: int, gtt: int, **files: str) -> dict[str, str]:
    return {
        **card("card1", vram=vram, used=1 * GIB // 8, mem_info_gtt_total=str(gtt), **files),
        "sys/class/drm/card1/device/drm/renderD129/dev": "",
        **node(1, "cpu_cores_count 32\nsimd_count 80\ngfx_target_version 110501\ndrm_render_minor 129\n"),
    }


def test_an_apu_has_what_it_may_map_too(tmp_path: Path) -> None:
    roots = tree(tmp_path, apu(GIB // 2, 62 * GIB, mem_info_gtt_used=str(2 * GIB)))
    (target,) = local_targets(run=answers({}), library=lambda: None, roots=roots)
    device = target.device
    assert (device.name, device.unified, device.memory_bytes) == ("AMD gfx1151", True, GIB // 2 + 62 * GIB)
    assert device.free_bytes == GIB // 2 - GIB // 8 + 60 * GIB
    assert device.runs("bfloat16")


def test_an_apu_whose_mapped_use_is_unknown_has_an_unknown_rest(tmp_path: Path) -> None:
    (target,) = local_targets(run=answers({}), library=lambda: None, roots=tree(tmp_path, apu(GIB, 62 * GIB)))
    assert target.device.free_bytes is None


def test_an_apu_with_a_large_part_set_apart_has_that_part(tmp_path: Path) -> None:
    (target,) = local_targets(run=answers({}), library=lambda: None, roots=tree(tmp_path, apu(96 * GIB, 16 * GIB)))
    assert target.device.memory_bytes == 96 * GIB


def test_a_card_that_the_kernel_does_not_name_is_amds(tmp_path: Path) -> None:
    roots = tree(tmp_path, {**card("card0", vram=8 * GIB, used=9 * GIB), **card("card1", vram=0, used=0)})
    (target,) = local_targets(run=answers({}), library=lambda: None, roots=roots)
    assert (target.device.name, target.device.free_bytes) == ("AMD GPU", None)


def mac(ram: int, brand: str = "Apple M4 Max", limit: str | None = "0") -> Callable[[tuple[str, ...]], str | None]:
    found = {"machdep.cpu.brand_string": f"{brand}\n", "hw.memsize": f"{ram}\n"}
    return answers(found if limit is None else {**found, "iogpu.wired_limit_mb": f"{limit}\n"})


@pytest.mark.parametrize("limit", ["0", None, "garbage"])
def test_a_mac_has_its_memory_and_macoss_share_of_it(limit: str | None, tmp_path: Path) -> None:
    (target,) = ask(mac(128 * GIB, limit=limit), tmp_path)
    device = target.device
    assert (device.name, device.vendor, device.unified, device.family) == ("Apple M4 Max 128GB", "apple", True, "apple-silicon")
    assert (device.memory_bytes, device.usable_bytes, device.free_bytes) == (128 * GIB, 96 * GIB, None)


def test_a_mac_whose_limit_is_set_has_that(tmp_path: Path) -> None:
    assert ask(mac(64 * GIB, limit="57344"), tmp_path)[0].device.usable_bytes == 56 * GIB
    assert ask(mac(64 * GIB, limit="999999"), tmp_path)[0].device.usable_bytes == 64 * GIB


def test_an_intel_mac_has_no_gpu_for_models(tmp_path: Path) -> None:
    with pytest.raises(CannotTell):
        ask(mac(64 * GIB, brand="Intel(R) Core(TM) i9"), tmp_path)


def test_local_is_a_target_where_the_cards_are_equal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parse, "local_targets", lambda: ask(smi(TWO_H100), tmp_path))
    assert parse_target(" Local ").count == 2


def test_local_of_different_cards_asks_which(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parse, "local_targets", lambda: ask(smi(DESK), tmp_path))
    assert len(parse_targets("local")) == 2
    with pytest.raises(UsageError, match="different GPUs: NVIDIA GeForce RTX 4090, NVIDIA GeForce RTX 3060"):
        parse_target("local")


def test_a_command_that_fails_or_is_missing_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_command(("echo", "NVIDIA L4")) == "NVIDIA L4\n"
    assert run_command(("false",)) is None
    assert run_command(("no-such-command-anywhere",)) is None
    monkeypatch.setattr("hfmem.hardware.probes.SECONDS", 0.01)
    assert run_command(("sleep", "5")) is None


@pytest.mark.parametrize("text", [None, "", "[N/A]", "-1", "1.5", "٣", "9" * 5000, str(2**50)])
def test_a_number_that_is_none_is_unknown(text: str | None) -> None:
    assert whole_number(text) is None
