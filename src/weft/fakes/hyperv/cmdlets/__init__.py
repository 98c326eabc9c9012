"""The cmdlets of a fake Hyper-V host, one room for each subject. table.py joins them."""
