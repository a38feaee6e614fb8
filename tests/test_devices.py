"""GPUs by name: every alias of the catalogue, every form of `--on`, every refusal, and the sizes that drivers report."""

import json
import re
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfmem.errors import HfmemError, UsageError
from hfmem.hardware import Device, Target, devices, find, next_larger, parse_target, parse_targets
from hfmem.hardware.catalogue import machines, named, names, own_names, table
from hfmem.hardware.names import key
from hfmem.hardware.sizes import apple_share, reported_bytes, visible_bytes
from hfmem.options import Format
from hfmem.report.devices import render_devices
from hfmem.units import GIB, MIB

# nvidia-smi's totals, from at least five independent logs each
DRIVER_MIB = {
    "B200": 183359,
    "H200": 143771,
    "RTX PRO 6000 Blackwell": 97887,
    "A100 80GB": 81920,
    "A800 80GB": 81920,
    "H100 80GB": 81559,
    "H800": 81559,
    "A100 40GB": 40960,
    "T4": 15360,
    "RTX A6000": 49140,
    "RTX 6000 Ada": 49140,
    "L40S": 46068,
    "A40": 46068,
    "RTX 5090": 32607,
    "RTX 4090": 24564,
    "RTX A5000": 24564,
    "RTX 3090": 24576,
    "A30": 24576,
    "TITAN RTX": 24576,
    "L4": 23034,
    "A10": 23028,
    "A10G": 23028,
}
# what engines log as the total that a process sees
VISIBLE_GIB = {
    "H100 80GB": 79.19,
    "A100 80GB": 79.25,
    "A100 40GB": 39.5,
    "A10G": 22.06,
    "L4": 22.03,
    "T4": 14.74,
    "RTX 3090": 23.58,
    "RTX 4090": 23.65,
    "V100 32GB": 31.74,
    "RTX 5090": 31.36,
    "RTX PRO 6000 Blackwell": 94.97,
    "H200": 139.80,
    "MI300X": 191.45,
}
TYPED = [
    ("RTX 4090", 1, "RTX 4090"),
    ("rtx4090", 1, "RTX 4090"),
    ("4090", 1, "RTX 4090"),
    ("GeForce RTX 4090", 1, "RTX 4090"),
    ("NVIDIA GeForce RTX 4090", 1, "RTX 4090"),
    ("NVIDIA GeForce RTX 4090 Laptop GPU", 1, "RTX 4090 Laptop"),
    ("4090D", 1, "RTX 4090 D"),
    ("4090 48GB", 1, "RTX 4090 48GB"),
    ("3090ti", 1, "RTX 3090 Ti"),
    ("4060 ti 16gb", 1, "RTX 4060 Ti 16GB"),
    ("RTX 4060 Ti (8 GB)", 1, "RTX 4060 Ti 8GB"),
    ("4070 Ti SUPER", 1, "RTX 4070 Ti SUPER"),
    ("4070tis", 1, "RTX 4070 Ti SUPER"),
    ("5090 laptop", 1, "RTX 5090 Laptop"),
    ("RTX 5090 Mobile", 1, "RTX 5090 Laptop"),
    ("RTX 2070 Super Max-Q", 1, "RTX 2070 SUPER Laptop"),
    ("RX 580 8GB", 1, "RX 580 8GB"),
    ("7900 xtx", 1, "RX 7900 XTX"),
    ("2x RX 7900 XTX", 2, "RX 7900 XTX"),
    ("NVIDIA H100 80GB HBM3", 1, "H100 80GB"),
    ("NVIDIA H100 PCIe", 1, "H100 80GB"),
    ("H100", 1, "H100 80GB"),
    ("h100-80gb", 1, "H100 80GB"),
    ("H100_80G", 1, "H100 80GB"),
    ("H100 94GB", 1, "H100 NVL"),
    ("2xH100", 2, "H100 80GB"),
    ("2 x H100", 2, "H100 80GB"),
    ("2×H100", 2, "H100 80GB"),
    ("H100x2", 2, "H100 80GB"),
    ("H100 x 2", 2, "H100 80GB"),
    ("H100*2", 2, "H100 80GB"),
    ("H100:8", 8, "H100 80GB"),
    ("gpu:h100:8", 8, "H100 80GB"),
    ("--gres=gpu:h100:4", 4, "H100 80GB"),
    ("gpu:a100-80gb:8", 8, "A100 80GB"),
    ("8xA100-80GB", 8, "A100 80GB"),
    ('4x"L40S"', 4, "L40S"),
    ("'L40S'", 1, "L40S"),
    ("NVIDIA A100-SXM4-40GB", 1, "A100 40GB"),
    ("A100 80GB PCIe", 1, "A100 80GB"),
    ("Tesla V100-SXM2-32GB", 1, "V100 32GB"),
    ("NVIDIA GH200 480GB", 1, "GH200 96GB"),
    ("NVIDIA RTX 6000 Ada Generation", 1, "RTX 6000 Ada"),
    ("NVIDIA RTX PRO 6000 Blackwell Server Edition", 1, "RTX PRO 6000 Blackwell"),
    ("DGX Spark", 1, "GB10"),
    ("AMD Instinct MI300X", 1, "MI300X"),
    ("MI250X", 1, "MI250X (one GCD)"),
    ("MI250X 128GB", 2, "MI250X (one GCD)"),
    ("AMD Ryzen AI Max+ 395 128GB", 1, "Ryzen AI Max+ 395 128GB"),
    ("Intel(R) Arc(TM) B580 Graphics", 1, "Arc B580"),
    ("Apple M3 Max 128GB", 1, "M3 Max 128GB"),
    ("a10g-large", 1, "A10G"),
    ("2xa10g-large", 2, "A10G"),
    ("l40sx4", 4, "L40S"),
    ("a100-large", 1, "A100 80GB"),
    ("rtx-pro-6000x8", 8, "RTX PRO 6000 Blackwell"),
    ("p4d.24xlarge", 8, "A100 40GB"),
    ("2xp5.48xlarge", 16, "H100 80GB"),
    ("a3-highgpu-8g", 8, "H100 80GB"),
    ("Standard_ND96amsr_A100_v4", 8, "A100 80GB"),
    ("4090x2", 2, "RTX 4090"),
    ("4090 x 2", 2, "RTX 4090"),
    ("3090*4", 4, "RTX 3090"),
    ("4090:2", 2, "RTX 4090"),
    ("2x4090", 2, "RTX 4090"),
    ("2 4090", 2, "RTX 4090"),
    ("8 h100", 8, "H100 80GB"),
    ("8 x h100", 8, "H100 80GB"),
    ("8 A100 80GB", 8, "A100 80GB"),
    ("2 p5.48xlarge", 16, "H100 80GB"),
    ("p5.48xlarge:2", 16, "H100 80GB"),
    ("ml.g5.2xlarge", 1, "A10G"),
    ("ml.p4d.24xlarge", 8, "A100 40GB"),
    ("24gb 4090", 1, "RTX 4090"),
    ("2x80GB A100", 2, "A100 80GB"),
    ("DGX A100 640GB", 8, "A100 80GB"),
]
SIZES = [
    ("80GiB", 1, 80 * 2**30),
    ("80 GB", 1, 80 * 10**9),
    ("24gb", 1, 24 * 10**9),
    ("2x80GiB", 2, 80 * 2**30),
    ("80GiBx2", 2, 80 * 2**30),
    ("79.19GiB", 1, 7919 * 2**30 // 100),
    ("40960MiB", 1, 40960 * 2**20),
    ("1.5TB", 1, 15 * 10**11),
    ("16TiB", 1, 16 * 2**40),
    ("64MiB", 1, 64 * 2**20),
    ("7900MiB", 1, 7900 * 2**20),
    ("4096GB", 1, 4096 * 10**9),
]
SLICES = [
    ("A100 40GB MIG 1g.5gb", 4864 * MIB),
    ("MIG 1g.5gb@A100-40GB", 4864 * MIB),
    ("NVIDIA A100-SXM4-40GB MIG 3g.20gb", 19968 * MIB),
    ("A100 1g.5gb", 4864 * MIB),  # the one A100 that has it
    ("A100-80GB MIG 3g.40gb", 40192 * MIB),
    ("A100-80GB 1g.10gb+me", 9728 * MIB),
    ("h100_mig_1g.10gb", 9728 * MIB),
    ("H200 1g.18gb", 16384 * MIB),
    ("H200 1g.35gb", 143771 * MIB * 2 // 8 * 910 // 1000),
    ("B200 7g.180gb", 183359 * MIB * 910 // 1000),
    ("A30 1g.6gb", 5949 * MIB),
]
REFUSED = [
    ("80", "bad-device-size", "'80' has no unit", "80GiB"),
    ("24", "bad-device-size", "has no unit", "24GiB"),
    ("4096", "bad-device-size", "has no unit", "4096GiB"),
    ("2x80", "bad-device-size", "has no unit", "80GiB"),
    ("80G", "bad-device-size", "neither GB nor GiB", "80GiB"),
    ("0GiB", "bad-device-size", "not between 64 MiB and 16 TiB", "80GiB"),
    ("17TiB", "bad-device-size", "not between 64 MiB and 16 TiB", "80GiB"),
    ("63MiB", "bad-device-size", "not between 64 MiB and 16 TiB", "80GiB"),
    ("80kb", "bad-device-size", "not between 64 MiB and 16 TiB", "80GiB"),
    ("1.5T", "bad-device-size", "neither TB nor TiB", "1.5TiB"),
    ("4096M", "bad-device-size", "neither MB nor MiB", "4096MiB"),
    ("80:2", "bad-device-size", "'80' has no unit", "80GiB"),
    ("910b", "unknown-device", "no GPU is known as '910b'", "hfmem devices"),
    ("7b", "unknown-device", "no GPU is known as '7b'", "hfmem devices"),
    ("4090 ti", "unknown-device", 'did you mean "RTX 4090" or ', "hfmem devices"),
    ("4090m", "unknown-device", 'did you mean "RTX 4090 Laptop" or "RTX 4090" or ', "hfmem devices"),
    ("4099 ti", "unknown-device", "no GPU is known as '4099 ti'", "hfmem devices"),
    ("2x4090 ti", "unknown-device", 'did you mean "RTX 4090" or ', "hfmem devices"),
    ("4090GB", "bad-device-size", "'4090GB' is the number of a card, RTX 4090, ", '--on "RTX 4090", or "3.7TiB"'),
    ("4090GiB", "bad-device-size", "is the number of a card, RTX 4090, with a unit", '--on "RTX 4090", or "4.0TiB"'),
    ("5090 GB", "bad-device-size", "is the number of a card, RTX 5090, with a unit", '--on "RTX 5090", or "4.6TiB"'),
    ("p4d", "unknown-device", 'did you mean "p4d.24xlarge" or "p4de.24xlarge"', "hfmem devices"),
    ("g5", "unknown-device", 'did you mean "g5.xlarge" or "g5.2xlarge" or "g5.4xlarge"?', "hfmem devices"),
    ("h1", "unknown-device", 'did you mean "H100 80GB" or ', "hfmem devices"),
    ("ml.g5", "unknown-device", 'did you mean "g5.xlarge"', "hfmem devices"),
    ("DGX A100", "unknown-device", 'did you mean "DGX A100 320GB" or "DGX A100 640GB"', "hfmem devices"),
    ("2 Foo", "unknown-device", "no GPU is known as '2 Foo'", "hfmem devices"),
    ("4090 5090", "bad-device-size", "'4090 5090' has no unit", "40905090GiB"),
    ("0 H100", "bad-device-count", "asks for '0' devices", "2xH100"),
    ("4090x0", "bad-device-count", "asks for '0' devices", "2xH100"),
    ("-80GiB", "bad-device-size", "is no amount of memory", "80GiB"),
    ("2x-80GiB", "bad-device-size", "is no amount of memory", "80GiB"),
    ("nan", "bad-device-size", "is no amount of memory", "80GiB"),
    ("infGiB", "bad-device-size", "is no amount of memory", "80GiB"),
    ("0x H100", "bad-device-count", "'0x H100' asks for '0' devices; between 1 and 16,384", "2xH100"),
    ("H100x0", "bad-device-count", "asks for '0' devices", "2xH100"),
    ("1000000000xH100", "bad-device-count", "between 1 and 16,384", "2xH100"),
    ("10^9xH100", "unknown-device", "no GPU is known as '10^9xH100'", "hfmem devices"),
    ("", "unknown-device", "'' names no GPU", "hfmem devices"),
    ("'\"", "unknown-device", "names no GPU", "hfmem devices"),
    ("NVIDIA", "unknown-device", "no GPU is known as 'NVIDIA'", "hfmem devices"),
    ("2x", "unknown-device", "no GPU is known as '2x'", "hfmem devices"),
    ("3xFoo", "unknown-device", "no GPU is known as 'Foo'", "hfmem devices"),
    ("RTX 4099", "unknown-device", 'did you mean "RTX 4090" or ', "hfmem devices"),
    ("H100 40GB", "unknown-device", '"H100 80GB"', "hfmem devices"),
    ("a10g-larg", "unknown-device", '"a10g-large"', "hfmem devices"),
    ("RTX 4090\x1b[31m", "unknown-device", r"'RTX 4090\x1b[31m'", "hfmem devices"),
    ("A" * 10**6, "unknown-device", "'… names no GPU", "hfmem devices"),
    ("A100", "ambiguous-device", "'A100' is one of A100 40GB, A100 80GB", "A100 40GB"),
    ("A100:8", "ambiguous-device", "'A100:8' is one of A100 40GB, A100 80GB", "A100 40GB"),
    ("gpu:a100:8", "ambiguous-device", "is one of A100 40GB, A100 80GB", "A100 40GB"),
    ("2xRTX 4060 Ti", "ambiguous-device", "is one of RTX 4060 Ti 8GB, RTX 4060 Ti 16GB", "RTX 4060 Ti 8GB"),
    ("RTX 6000", "ambiguous-device", "is one of Quadro RTX 6000, RTX 6000 Ada", "Quadro RTX 6000"),
    ("H100 3g.99gb", "bad-slice", "H100 80GB has 1g.10gb, 1g.20gb, 2g.20gb, 3g.40gb, 4g.40gb, 7g.80gb", "MIG 1g.10gb"),
    ("RTX 4090 1g.10gb", "bad-slice", "RTX 4090 is not known to have MIG slices", "10GiB"),
    ("1g.10gb", "bad-slice", "does not say of which card", "H200 MIG 1g.10gb"),
    ("Foo 1g.10gb", "unknown-device", "no GPU is known as 'Foo'", "hfmem devices"),
    ("A100 9g.99gb", "ambiguous-device", "is one of A100 40GB, A100 80GB", "A100 40GB"),
]
ROWS = devices()
ALIASES = [(alias, row.name) for row in ROWS for alias in row.aliases]
WRITTEN = [(name, row) for row in table()["devices"] for name in (row["name"], *row.get("exact", ()), *row["names"])]


@pytest.mark.parametrize(("text", "count", "name"), TYPED, ids=[case[0] for case in TYPED])
def test_a_device_is_known_by_what_people_type(text: str, count: int, name: str) -> None:
    target = parse_target(text)
    assert (target.count, target.device.name, target.text) == (count, name, text)
    assert target.device in ROWS


@pytest.mark.parametrize(("text", "count", "num_bytes"), SIZES, ids=[case[0] for case in SIZES])
def test_a_size_is_a_device_of_its_own(text: str, count: int, num_bytes: int) -> None:
    target = parse_target(text)
    device = target.device
    assert (target.count, device.memory_bytes, device.usable_bytes) == (count, num_bytes, num_bytes)
    assert (device.vendor, device.memory_source) == (None, "stated")
    assert device.runs("fp4") and device.runs_weight_only("fp8")


@pytest.mark.parametrize(("text", "num_bytes"), SLICES, ids=[case[0] for case in SLICES])
def test_a_slice_has_its_own_memory_and_its_cards_capability(text: str, num_bytes: int) -> None:
    device = parse_target(text).device
    assert device.memory_bytes == num_bytes
    assert device.usable_bytes < num_bytes
    assert device.runs("bfloat16")
    assert device.aliases == ()


def test_slices_can_be_counted() -> None:
    assert [
        parse_target(text).count
        for text in ("7xA100-80GB 1g.10gb", "7 A100-80GB 1g.10gb", "H100 MIG 1g.10gb x7", "gpu:a100_1g.5gb:7")
    ] == [7, 7, 7, 7]


@pytest.mark.parametrize(("text", "code", "says", "hint"), REFUSED, ids=[case[0][:20] for case in REFUSED])
def test_a_text_that_names_no_device_is_refused(text: str, code: str, says: str, hint: str) -> None:
    with pytest.raises(UsageError, match=re.escape(says)) as caught:
        parse_target(text)
    assert caught.value.code == code
    assert hint in (caught.value.hint or "")
    assert len(caught.value.message) < 200


def test_every_alias_is_its_rows_however_it_is_written() -> None:
    """In capitals, with a space or a hyphen between any letter and digit, and after the maker's name."""
    for alias, name in ALIASES:
        spaced = re.sub(r"(?<=[a-z])(?=\d)", " ", alias)
        for text in (alias, alias.upper(), spaced, spaced.replace(" ", "-"), spaced.replace(" ", "_").title(), f"1x{alias}"):
            if key(text) in machines():  # a provider's name, which has its own test
                continue
            assert parse_target(text).device.name == name, text


def test_no_two_rows_share_an_alias() -> None:
    assert max(Counter(alias for alias, _ in ALIASES).values()) == 1
    assert max(Counter(row.name for row in ROWS).values()) == 1
    assert all(alias == key(alias) for alias, _ in ALIASES)


def test_every_row_can_be_named_by_its_own_name() -> None:
    assert {row.name for row in ROWS} == {parse_target(row.name).device.name for row in ROWS} == set(own_names())


def test_a_name_of_several_rows_is_the_defaults_or_lists_them_all() -> None:
    for name, row in WRITTEN:
        found = named(name)
        assert row["name"] in {each.name for each in found} or any(
            each["default"] for each in table()["devices"] if each["name"] == found[0].name
        )
        if len(found) > 1:
            with pytest.raises(UsageError, match=re.escape(" is one of ")):
                parse_target(name)


def test_no_plain_number_of_gigabytes_is_a_name() -> None:
    numbers = [name for name in names() if name.isdecimal()]
    assert all(1000 < int(name) < 10000 for name in numbers)
    assert not {"1024", "2048", "4096", "8192", "6000", "8000"} & set(numbers)


def test_every_machine_is_so_many_of_a_row() -> None:
    for name, (row, count) in table()["machines"].items():
        for text in (name, name.upper(), name.replace("-", " ").replace("_", " ")):
            target = parse_target(text)
            assert (target.device.name, target.count) == (row, count), text
    assert len(machines()) == len(table()["machines"])


def test_a_machines_name_takes_none_of_a_device_that_is_another() -> None:
    """`a100x4` would be ambiguous by itself; where both readings are clear they agree."""
    for name, (row, _) in machines().items():
        assert {each.name for each in named(name)} <= {row}


@pytest.mark.parametrize(("name", "mib"), DRIVER_MIB.items(), ids=DRIVER_MIB)
def test_a_cards_memory_is_what_its_driver_reports(name: str, mib: int) -> None:
    device = parse_target(name).device
    assert (device.memory_bytes, device.memory_source) == (mib * 2**20, "driver")


@pytest.mark.parametrize(("name", "gib"), VISIBLE_GIB.items(), ids=VISIBLE_GIB)
def test_a_cards_usable_memory_is_what_a_process_sees(name: str, gib: float) -> None:
    assert parse_target(name).device.usable_bytes == int(gib * 2**30)


def test_a_rule_promises_no_more_than_was_measured() -> None:
    """Asked of the rows that were measured, as if they had not been."""
    for row in table()["devices"]:
        reported = row.get("mib", 0) * MIB or reported_bytes(row["gb"], row["rule"])
        if "mib" in row:
            assert reported_bytes(row["gb"], row["rule"]) <= reported, row["name"]
        if "visible_gib" in row:
            assert visible_bytes(reported, row["rule"]) <= row["visible_gib"] * GIB + 60 * MIB, row["name"]


@pytest.mark.parametrize("device", ROWS, ids=[row.name for row in ROWS])
def test_usable_is_at_most_the_drivers_total_and_that_at_most_the_box(device: Device) -> None:
    assert device.marketing_gb is not None
    assert 0.6 * device.memory_bytes < device.usable_bytes <= device.memory_bytes <= device.marketing_gb * 2**30
    assert device.memory_bytes >= 0.92 * device.marketing_gb * 2**30
    assert device.vendor in ("nvidia", "amd", "intel", "apple")
    assert (device.compute_capability is None) == (device.vendor in ("intel", "apple"))
    assert device.source and device.free_bytes is None


def test_the_catalogue_is_broad() -> None:
    assert len(ROWS) >= 150
    assert min(Counter(row.vendor for row in ROWS).values()) > 15


def test_a_mac_gives_its_gpu_two_thirds_or_three_quarters() -> None:
    assert apple_share(36 * GIB) == 24 * GIB
    assert apple_share(48 * GIB) == 36 * GIB
    assert parse_target("M4 Max 128GB").device.usable_bytes == 96 * 2**30


RUNS = [
    ("T4", {"float32", "float16", "int8"}),
    ("V100 32GB", {"float32", "float16"}),
    ("A100 80GB", {"float32", "float16", "bfloat16", "int8"}),
    ("RTX 4090", {"float32", "float16", "bfloat16", "int8", "fp8"}),
    ("H100", {"float32", "float16", "bfloat16", "int8", "fp8"}),
    ("B200", {"float32", "float16", "bfloat16", "int8", "fp8", "fp4"}),
    ("RTX 5090", {"float32", "float16", "bfloat16", "int8", "fp8", "fp4"}),
    ("MI60", {"float32", "float16"}),
    ("MI250X", {"float32", "float16", "bfloat16", "int8"}),
    ("MI300X", {"float32", "float16", "bfloat16", "int8", "fp8"}),
    ("MI355X", {"float32", "float16", "bfloat16", "int8", "fp8", "fp4"}),
    ("RX 6800", {"float32", "float16"}),
    ("RX 7900 XTX", {"float32", "float16", "bfloat16", "int8"}),
    ("RX 9070 XT", {"float32", "float16", "bfloat16", "int8", "fp8"}),
    ("M2 Max 64GB", {"float32", "float16", "bfloat16"}),
    ("Arc B580", {"float32", "float16", "bfloat16", "int8"}),
    ("Gaudi 2", {"float32", "float16", "bfloat16", "int8", "fp8"}),
]


@pytest.mark.parametrize(("name", "dtypes"), RUNS, ids=[case[0] for case in RUNS])
def test_a_device_runs_the_dtypes_of_its_capability(name: str, dtypes: set[str]) -> None:
    device = parse_target(name).device
    assert {dtype for dtype in ("float32", "float16", "bfloat16", "int8", "fp8", "fp4") if device.runs(dtype)} == dtypes


def test_fp8_weights_are_kept_as_they_are_from_ampere_on() -> None:
    assert [parse_target(name).device.runs_weight_only("F8_E4M3") for name in ("T4", "A100 80GB", "H100", "MI210")] == [
        False,
        True,
        True,
        False,
    ]
    assert parse_target("A100 80GB").device.runs_weight_only("nvfp4")
    assert not parse_target("V100 32GB").device.runs_weight_only("bfloat16")


def test_a_dtype_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match="'int3' is not a dtype"):
        parse_target("H100").device.runs("int3")


def test_devices_are_found_by_name_vendor_memory_and_dtype() -> None:
    assert [each.name for each in find("a100", vendor="nvidia", min_bytes=20 * GIB)] == ["A100 80GB", "A100 40GB"]
    assert {each.vendor for each in find(vendor="amd")} == {"amd"}
    assert all(each.memory_bytes >= 150 * GIB for each in find(min_bytes=150 * GIB))
    assert {each.name for each in find(vendor="nvidia", min_bytes=150 * GIB, dtype="fp4")} == {"B300", "GB300", "B200", "GB200"}
    assert find() == ROWS
    assert find("no such card") == find("-") == ()


def test_a_machine_is_found_as_its_device() -> None:
    for query in ("p5.48xlarge", "P5.48xlarge", "ml.p5.48xlarge"):
        assert [each.name for each in find(query)] == ["H100 80GB"]
    assert [each.name for each in find("24gb 4090")] == ["RTX 4090"]
    assert find("p5.48xlarge", vendor="amd") == ()


def test_the_next_larger_devices_grow() -> None:
    larger = list(next_larger(parse_target("RTX 4090").device))
    sizes = [each.usable_bytes for each in larger]
    assert sizes == sorted(sizes) and sizes[0] > parse_target("RTX 4090").device.usable_bytes
    assert {each.vendor for each in larger} == {"nvidia"}
    assert list(next_larger(parse_target("B300").device)) == []


VALID: dict[str, Any] = {
    "name": "x",
    "vendor": None,
    "family": "size",
    "memory_bytes": 2,
    "usable_bytes": 2,
    "memory_source": "stated",
    "source": "-",
}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"usable_bytes": 3}, "x: 3 usable of 2 bytes"),
        ({"usable_bytes": 0}, "x: 0 usable of 2 bytes"),
        ({"free_bytes": 3}, "x: 3 free of 2 bytes"),
        ({"memory_source": "hearsay"}, "'hearsay' is none of driver, spec, stated"),
    ],
)
def test_a_device_cannot_be_wrong(change: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        Device(**VALID | change)


def test_a_target_has_devices() -> None:
    with pytest.raises(ValueError, match="0 devices"):
        Target(device=Device(**VALID), count=0, text="")


PIECES = st.sampled_from(
    [
        "2x",
        "x",
        "×",
        "*",
        ":",
        "gpu:",
        "H100",
        "A100",
        "RTX 4090",
        "80",
        "80GiB",
        "GB",
        "1g.10gb",
        "MIG",
        "@",
        " ",
        "-",
        "local ",
        "nan",
        "9" * 30,
    ]
)
TEXTS = st.text(max_size=300) | st.lists(PIECES | st.text(max_size=3), max_size=8).map("".join)


@given(TEXTS.filter(lambda text: re.sub("['\"“”„’]", "", text).strip().casefold() != "local"))
def test_any_text_is_a_target_or_a_refusal(text: str) -> None:
    try:
        targets = parse_targets(text)
    except HfmemError as error:
        assert error.message.isprintable() and len(error.message) < 1000
    else:
        assert all(each.count >= 1 and each.device.usable_bytes > 0 and each.text == text for each in targets)


def test_the_text_report_is_a_table() -> None:
    lines = render_devices((*find("rtx 4090 laptop"), parse_target("2x80GiB").device)).splitlines()
    assert [line.split("  ")[0] for line in lines] == ["NAME", "RTX 4090 Laptop", "80.00 GiB"]
    assert [line.split()[-1] for line in lines] == ["BY", "driver", "stated"]
    assert len({line.rindex(word) for line, word in zip(lines, ("KNOWN BY", "driver", "stated"), strict=True)}) == 1


def test_the_json_report_has_every_field() -> None:
    whole = json.loads(render_devices(ROWS, "json"))
    assert whole["schema"] == "hfmem.devices/1"
    assert len(whole["devices"]) == len(ROWS)
    first = whole["devices"][0]
    assert first["memory_bytes"] == ROWS[0].memory_bytes
    assert set(first) == set(Device.__dataclass_fields__)


def test_the_markdown_report_escapes_names() -> None:
    device = Device(**VALID | {"name": "a|b\x1b"})
    assert render_devices([device], Format.markdown).splitlines()[-1].startswith(r"| a\|b\\x1b | ")
    assert r"a|b\x1b" in render_devices([device], Format.text)
