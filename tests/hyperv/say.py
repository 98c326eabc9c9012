"""Says what `make test-hyperv` will touch on which host, and asks. Ends with 1 if it may not."""

import sys

from tests.hyperv.real_host import PREFIX, is_asked_for, place, setting


def words():
    hosts = [one for one in (setting("HOST"), setting("HOST2")) if one]
    where = place()
    switch = f"virtual switch {where.switch}" if where.switch else "the only virtual switch"
    return f"""On {" and ".join(hosts)}, by PowerShell Remoting, this will
  - remove machines whose names begin with {PREFIX}, and what is called so below {where.folder}:
    the leavings of a run that died
  - make machines {PREFIX}web, -db, -copy, -web-clone and -somebody's, with 64 MiB and a disk of 1 GiB
    below {where.folder}, which must be there, on {switch}
  - keep a small file weft-defining-... in the host's folder for machines while one is made
  - set their MAC addresses to 00-1D-D8-B7-1C-xx and their port profiles, start, save, checkpoint, restore and move them
  - remove them and their files, and check that none is left
It touches no other machine, no switch, and none of the host's own settings. We have never run it on a real host."""


def main():
    if not is_asked_for():
        print("Say where: make test-hyperv HOST=hv1.example.com SWITCH=vSwitch FOLDER='D:\\weft-contract'")
        return 1
    print(words())
    if setting("YES") == "1":
        return 0
    try:
        return 0 if input("Go on? Type yes: ").strip() == "yes" else 1
    except EOFError:
        return 1


if __name__ == "__main__":
    sys.exit(main())
