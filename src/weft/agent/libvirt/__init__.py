"""Driver of libvirt with QEMU: machines are domains, checkpoints snapshots, a port comes and goes with its domain.

What becomes XML and what is read from it is pure (mark, domain_xml, domain_reading, domain_patching); the rest speaks
with libvirtd. Needs libvirt-python (the extra `libvirt`), which only connection.py and the files beside it import.
"""
