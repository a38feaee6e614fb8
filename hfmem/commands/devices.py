"""`hfmem devices`."""

from __future__ import annotations

from hfmem import options as opt
from hfmem.commands.showing import pictured
from hfmem.terminal import failures, write


def devices(
    query: opt.QueryArg = None,
    vendor: opt.VendorOpt = None,
    min_memory: opt.MinMemoryOpt = None,
    dtype: opt.RunsOpt = None,
    local: opt.LocalOpt = False,
    format: opt.FormatOpt = opt.Format.text,
    quiet: opt.NamesOpt = False,
) -> None:
    """
    List the devices that --on knows, or the ones in this machine.

    Examples:  hfmem devices 4090   |   hfmem devices --vendor amd --min-memory 64GiB   |   hfmem devices --local
    """
    with failures():
        from hfmem import hardware
        from hfmem.hardware.wording import none_listed
        from hfmem.report.devices import render_devices

        target = hardware.parse_target(min_memory) if min_memory else None
        least = target.device.memory_bytes * target.count if target else 0
        if local:
            found = tuple(target.device for target in hardware.local_targets())
        else:
            found = hardware.find(query, vendor=vendor, min_bytes=least, dtype=dtype)
        if not found:
            raise none_listed(query)
        if format is opt.Format.svg and not quiet:
            write(pictured(render_devices(found)))
        else:
            write("\n".join(device.name for device in found) if quiet else render_devices(found, format.value))
