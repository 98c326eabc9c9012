"""Hyper-V hosts over PowerShell Remoting: the shell, the hypervisor driver, and the plane of network virtualization."""
