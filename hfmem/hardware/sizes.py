"""
From the size on the box to what a process can have, where no log says it.

Marketing GB are read as GiB of memory chips; the driver reports less, by a rule for each class of card. Each rule
takes the smallest share of the class's rows that were read from logs, so that a row of kind `spec` promises no more:

    gddr           99.5 %   RTX 5070 12227 of 12288 MiB, RTX 5060 8151 of 8192 MiB
    ecc            93 %     K80 11441 of 12288 MiB, L4 23034 of 24576 MiB: error correction keeps a sixteenth
    hbm            98.5 %   V100 and P100 before the driver changed; H200 143771 of 144384 MiB
    hbm-blackwell  93 %     B200 183359 of 196608 MiB, B300 275040 of 294912 MiB
    amd            -16 MiB  MI300X 206141652992 bytes, RX 7900 XTX 25753026560 bytes
    arc            99.5 %   of which a process sees 94.4 %: A770 16225243136 of 2**34 bytes, B60 24385683456
    gaudi          all
    board          93 %     NVIDIA's unified memory: what the kernel has as MemTotal; a process sees it all
    ram            all      AMD's unified memory; a process gets three quarters, the most its firmware sets apart (96 of 128)
    apple          all      unified memory; see `apple_share`

What a process sees is the driver's total less what the driver keeps: `reserve`.
"""

from __future__ import annotations

from hfmem.units import GIB, MIB

REPORTED_PER_MILLE = {
    "gddr": 995,
    "ecc": 930,
    "hbm": 985,
    "hbm-blackwell": 930,
    "amd": 1000,
    "arc": 995,
    "gaudi": 1000,
    "board": 930,
    "ram": 1000,
    "apple": 1000,
}
WITHHELD_BYTES = {"amd": 16 * MIB}
VISIBLE_PER_MILLE = {"arc": 944, "board": 1000, "ram": 750}
RESERVE_PER_MILLE, RESERVE_AT_MOST = 25, 768 * MIB
SMALL_MAC_BYTES = 36 * GIB


def reported_bytes(marketing_gb: float, rule: str) -> int:
    """What a driver would report of a card sold with so many GB, in whole MiB as drivers do."""
    share = int(marketing_gb * GIB) * REPORTED_PER_MILLE[rule] // 1000
    return share // MIB * MIB - WITHHELD_BYTES.get(rule, 0)


def visible_bytes(reported: int, rule: str) -> int:
    """What a process sees of what the driver reports."""
    if rule == "apple":
        return apple_share(reported)
    share = VISIBLE_PER_MILLE.get(rule)
    return reported - reserve(reported) if share is None else reported * share // 1000


def reserve(reported: int) -> int:
    """
    What an NVIDIA or AMD driver keeps from processes: 2.5 % and at most 768 MiB.

    Measured: T4 266, 3090 430, H100 468, L4 475, MI300X 547, H200 616, A100 768 MiB (engines' logs of the total).
    """
    return min(reported * RESERVE_PER_MILLE // 1000, RESERVE_AT_MOST)


def apple_share(ram_bytes: int) -> int:
    """
    What Metal lets the GPU wire while iogpu.wired_limit_mb is 0: two thirds of up to 36 GiB, three quarters of more.

    An assumption that users' reports of recommendedMaxWorkingSetSize agree on; `sudo sysctl iogpu.wired_limit_mb` raises it.
    """
    return ram_bytes * 2 // 3 if ram_bytes <= SMALL_MAC_BYTES else ram_bytes * 3 // 4
