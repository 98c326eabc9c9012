"""What the DHCP clients of the lab's guests do with an answer: sh, for busybox and Debian. Pure text.

Everything goes to the interface and to a file `INTERFACE.resolv.conf` beside the script; /etc/resolv.conf is the
machine's and never touched. Used by weft.lab.dhcp_clients, UDHCPC also inside of booted guests (weft.lab.guest_image).
"""

UDHCPC = """#!/bin/sh
# busybox udhcpc calls it with what happened; the answer is in the environment: ip, mask (a length), router, dns, mtu
case $1 in
deconfig)
    ip -4 addr flush dev "$interface"
    ip link set dev "$interface" up ;;
bound | renew)
    if ! ip -4 addr show dev "$interface" | grep -qF " $ip/$mask "; then
        ip -4 addr flush dev "$interface"
        ip addr add "$ip/$mask" broadcast + dev "$interface"
    fi
    [ -z "$mtu" ] || ip link set dev "$interface" mtu "$mtu"
    [ -z "$router" ] || ip route replace default via "${router%% *}" dev "$interface"
    for server in $dns; do echo "nameserver $server"; done >"${0%/*}/$interface.resolv.conf" ;;
esac
"""

DHCLIENT6 = """#!/bin/sh
# dhclient -6 calls it: reason, new_ip6_address, new_dhcp6_name_servers; prefix and router come by advertisements
case $reason in
BOUND6 | RENEW6 | REBIND6)
    if [ -n "$old_ip6_address" ] && [ "$old_ip6_address" != "$new_ip6_address" ]; then
        ip -6 addr del "$old_ip6_address/128" dev "$interface"
    fi
    ip -6 addr replace "$new_ip6_address/128" dev "$interface" nodad
    for server in $new_dhcp6_name_servers; do echo "nameserver $server"; done >"${0%/*}/$interface.resolv6.conf" ;;
DEPREF6 | EXPIRE6 | FAIL6 | STOP6 | RELEASE6)
    [ -z "$old_ip6_address" ] || ip -6 addr del "$old_ip6_address/128" dev "$interface" ;;
esac
exit 0
"""
