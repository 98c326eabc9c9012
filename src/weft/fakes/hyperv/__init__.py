"""A Hyper-V host, and a cluster of them, that runs the PowerShell scripts that Weft sends. See docs/hyperv.md."""
