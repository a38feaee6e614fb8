"""GPUs: a catalogue, what users call them, and the ones in this machine."""

from hfmem.hardware.catalogue import devices, find, next_larger
from hfmem.hardware.local import local_targets
from hfmem.hardware.parse import parse_target, parse_targets
from hfmem.hardware.values import Device, Target

__all__ = ["Device", "Target", "devices", "find", "local_targets", "next_larger", "parse_target", "parse_targets"]
