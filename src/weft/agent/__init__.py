"""What runs on a host: takes its policy from the feed and makes the switch and the hypervisor so."""
