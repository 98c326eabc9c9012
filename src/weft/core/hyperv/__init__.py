"""What Weft says to Hyper-V hosts: the PowerShell that it writes and the records that the PowerShell is about.

Pure: values in, text and values out. `cmdlets` is the table of all that a script may call, `script` what a script is,
`network_virtualization` the records of a host as Hyper-V Network Virtualization has them.
"""
