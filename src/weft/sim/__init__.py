"""The old ways to give MAC addresses beside Weft's, lived through by one simulated cluster.

`hyperv` and `assignments` are models of the systems that hosts use today, `weft_cluster` drives the real core; `life`
makes what happens to a cluster, `world` checks it after every event. `commands` is `weft simulate`.
"""
